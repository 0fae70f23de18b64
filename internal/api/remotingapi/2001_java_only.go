package remotingapi

import (
	"strconv"
	"strings"
	"sync"

	"github.com/cometmq/cometmq/internal/fastjson"
	"github.com/cometmq/cometmq/internal/liveprops"
	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// Requests about parts of Java's broker that do not exist here. They are answered as Java's broker answers with its defaults, under
// which these parts do nothing either: RESET_MASTER_FLUSH_OFFSET (908), GET_BROKER_EPOCH_CACHE (1007) without controllers, cold data
// (2001 to 2003), SET_COMMITLOG_READ_MODE (2004), SWITCH_TIMER_ENGINE (5001), CHECK_ROCKSDB_CQ_WRITE_PROGRESS (354),
// EXPORT_ROCKSDB_CONFIG_TO_JSON (355), POP_ROLLBACK (200056).
//
// Differs from Java: code 354 is answered with the result. There it is always "in progress", and the result is in the broker's log.

// resetMasterFlush is for slaves of Java, which count what their master has flushed. Here a slave learns that from the master.
func resetMasterFlush(_ *API, s *session, r *remoting.Request) { s.ok(r, nil, nil) }

// noEpochs answers in a broker without controllers; with them its member answers.
func noEpochs(_ *API, s *session, r *remoting.Request) {
	s.fail(r, mq.Errorf(mq.KindInternal, "this request only for controllerMode "))
}

// noRocksDB answers that the queues are files.
func noRocksDB(_ *API, s *session, r *remoting.Request) {
	s.ok(r, nil, []byte(`{"checkResult":"It is not CombineConsumeQueueStore, no need check","checkStatus":0}`))
}

// exported answers that what a table in RocksDB would be exported to is there: it is how the tables are kept.
func exported(_ *API, s *session, r *remoting.Request) {
	s.conn.Reply(r.ReplyTo(), protocol.RespSuccess, "export done.", nil, nil)
}

// popRollback answers that nothing is kept in a key-value store.
func popRollback(_ *API, s *session, r *remoting.Request) { s.ok(r, nil, nil) }

func setReadMode(_ *API, s *session, r *remoting.Request) {
	if len(r.Fields) == 0 {
		s.fail(r, mq.Errorf(mq.KindInternal, "set commitlog readahead mode param error"))
		return
	}
	v, _ := r.Fields.Get("READ_AHEAD_MODE")
	mode, err := strconv.ParseInt(string(v), 10, 32)
	switch {
	case err != nil:
		s.fail(r, mq.Errorf(mq.KindInternal, "set commitlog readahead mode failed"))
	case mode != 0 && mode != 1:
		s.fail(r, mq.Errorf(mq.KindInvalidParameter, "set commitlog readahead mode param value error"))
	default: // the log is read by block, and nothing is advised to the kernel
		s.conn.Reply(r.ReplyTo(), protocol.RespSuccess, "set commitlog readahead mode success, mode: "+string(v), nil, nil)
	}
}

func switchTimers(a *API, s *session, r *remoting.Request) {
	v, _ := r.Fields.Get("E_T")
	none, engine := len(r.Fields) == 0, string(v)
	to := r.ReplyTo()
	s.later(to, func() {
		reply := func(code int32, remark string) { s.conn.Reply(to, code, remark, nil, nil) }
		values, _, err := a.o.Config.Properties(a.ctx)
		switch {
		case err == nil && values["timerWheelEnable"] == "false":
			reply(protocol.RespInvalidParameter, "broker timerWheelEnable is false")
		case none:
			reply(protocol.RespInvalidParameter, "param error, extFields is null")
		case engine == "R":
			reply(protocol.RespInvalidParameter, "timerRocksDBEnable must be configured true when broker start")
		case engine == "F": // the only one there is
			reply(protocol.RespSuccess, "switch timer engine success")
		default:
			reply(protocol.RespInvalidParameter, "param error")
		}
	})
}

// coldLimits are the limits of groups that read old messages, as tools have set them. Nothing is limited by them: a cold read does not
// slow others down here, and in Java they count with coldDataFlowControlEnable only.
type coldLimits struct {
	mu     sync.Mutex // guards groups
	groups map[string]int64
}

// maxColdLimits bounds the table.
const maxColdLimits = 10_000

func setColdLimit(a *API, s *session, r *remoting.Request) {
	values, err := liveprops.Parse(r.Body)
	if err != nil {
		s.fail(r, mq.Errorf(mq.KindInternal, "string2Properties error"))
		return
	}
	a.cold.mu.Lock()
	if a.cold.groups == nil {
		a.cold.groups = map[string]int64{}
	}
	for group, v := range values {
		n, err := strconv.ParseInt(v, 10, 64)
		if _, known := a.cold.groups[group]; err == nil && (known || len(a.cold.groups) < maxColdLimits) {
			a.cold.groups[group] = n // as in Java a value that is no number is ignored
		}
	}
	a.cold.mu.Unlock()
	s.ok(r, nil, nil)
}

func removeColdLimit(a *API, s *session, r *remoting.Request) {
	group := strings.Clone(string(r.Body))
	a.cold.mu.Lock()
	delete(a.cold.groups, group)
	a.cold.mu.Unlock()
	s.ok(r, nil, nil)
}

func coldInfo(a *API, s *session, r *remoting.Request) {
	const cgThreshold, globalThreshold = 3 << 20, 100 << 20 // cgColdReadThreshold, globalColdReadThreshold
	a.cold.mu.Lock()
	w := fastjson.NewWriter(nil, 0)
	w.ObjStart()
	w.Key("runtimeTable")
	w.ObjStart()
	w.ObjEnd()
	w.Key("cgColdReadThreshold")
	w.Int(cgThreshold)
	w.Key("globalColdReadThreshold")
	w.Int(globalThreshold)
	w.Key("configTable")
	w.ObjStart()
	for _, group := range sortedKeys(a.cold.groups) {
		w.Key(group)
		w.Int(a.cold.groups[group])
	}
	w.ObjEnd()
	w.Key("globalAcc")
	w.Int(0)
	w.ObjEnd()
	a.cold.mu.Unlock()
	s.ok(r, nil, w.Bytes())
}
