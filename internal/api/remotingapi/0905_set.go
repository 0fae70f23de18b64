package remotingapi

import (
	"context"
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/protocol"
	"github.com/cometmq/cometmq/internal/remoting"
)

// What the brokers of one set and the name servers tell each other: NOTIFY_MIN_BROKER_ID_CHANGE (905), EXCHANGE_BROKER_HA_INFO (906),
// GET_BROKER_HA_STATUS (907).
//
// 906 has two uses. Without masterHaAddress it asks a master where it serves slaves; a slave answers with nothing. With it a master
// that is about to come back tells a slave where it is; the answer comes when the slave does not act as the master any more.
// masterFlushOffset is where the master's log ended when it was started; nobody acts on it, as in Java.
//
// Differs from Java: a master that is told of another one refuses. Java takes the address and does nothing with it.

// setHandlers are the requests about the broker's set.
func setHandlers() map[int32]handler {
	return map[int32]handler{
		protocol.ReqNotifyMinBrokerIDChange: minBrokerChanged,
		protocol.ReqExchangeBrokerHAInfo:    exchangeHAInfo,
		protocol.ReqGetBrokerHAStatus:       haStatus,
	}
}

func minBrokerChanged(a *API, s *session, r *remoting.Request) {
	var h protocol.NotifyMinBrokerIdChangeRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, mq.Errorf(mq.KindInvalidParameter, "%s", err.Error()))
		return
	}
	m := mq.MinBroker{
		ID: h.MinBrokerID, Addr: strings.Clone(h.MinBrokerAddr), Offline: strings.Clone(h.OfflineBrokerAddr), HAAddr: strings.Clone(h.HABrokerAddr),
	}
	if err := a.o.Set.MinBroker(a.ctx, m); err != nil {
		s.fail(r, err)
		return
	}
	s.ok(r, nil, nil)
}

func exchangeHAInfo(a *API, s *session, r *remoting.Request) {
	var h protocol.ExchangeHAInfoRequestHeader
	if err := h.Decode(r.Fields); err != nil {
		s.fail(r, mq.Errorf(mq.KindInvalidParameter, "%s", err.Error()))
		return
	}
	if h.MasterHAAddress == "" {
		out := &protocol.ExchangeHAInfoResponseHeader{}
		if info, ok := a.o.Set.HAInfo(a.ctx); ok {
			out.MasterHAAddress, out.MasterAddress = info.HAAddr, info.Addr
			out.MasterFlushOffset, out.HasMasterFlushOffset = int64(info.Start), true
		}
		s.ok(r, out, nil)
		return
	}
	info := mq.HAInfo{
		HAAddr: strings.Clone(h.MasterHAAddress), Addr: strings.Clone(h.MasterAddress), Start: mq.Offset(h.MasterFlushOffset),
	}
	to := r.ReplyTo()
	s.later(to, func() {
		if err := a.o.Set.TakeHAInfo(a.ctx, info); err != nil {
			s.failLater(to, mq.Errorf(mq.KindInternal, "%s", err.Error()))
			return
		}
		s.conn.Reply(to, protocol.RespSuccess, "", tookHAInfo{}, nil)
	})
}

// tookHAInfo is the header of the answer to a master that has announced itself. Java's has no field then.
type tookHAInfo struct{}

func (tookHAInfo) AppendTo(w *protocol.FieldWriter) { w.Bool(mq.ExactProgress, true) }

func haStatus(a *API, s *session, r *remoting.Request) {
	st, err := a.o.Set.HAStatus(a.ctx)
	if err != nil {
		s.fail(r, err)
		return
	}
	b := protocol.HARuntimeInfo{
		Master: st.Master, MasterCommitLogMaxOffset: int64(st.End), InSyncSlaveNums: st.InSync,
		Client: protocol.HAClientRuntimeInfo{
			MasterAddr: st.Client.Master, TransferredByteInSecond: st.Client.Rate, MaxOffset: int64(st.Client.End),
			LastReadTimestamp: st.Client.LastRead, LastWriteTimestamp: st.Client.LastWrite, MasterFlushOffset: int64(st.Client.Start),
			Activated: st.Client.Connected,
		},
	}
	for i := range st.Slaves {
		c := &st.Slaves[i]
		b.Connections = append(b.Connections, protocol.HAConnectionRuntimeInfo{
			Addr: c.Addr, SlaveAckOffset: int64(c.Acked), Diff: c.Behind, InSync: c.InSync, TransferredByteInSecond: c.Rate,
			TransferFromWhere: int64(c.SentUpTo),
		})
	}
	s.ok(r, nil, b.AppendTo(nil, false))
}

// alone is the set of a broker that has none.
type alone struct{}

var errAlone = mq.Errorf(mq.KindInternal, "this broker has no others in its set")

func (alone) HAInfo(context.Context) (mq.HAInfo, bool)      { return mq.HAInfo{}, false }
func (alone) TakeHAInfo(context.Context, mq.HAInfo) error   { return errAlone }
func (alone) MinBroker(context.Context, mq.MinBroker) error { return nil }
func (alone) HAStatus(context.Context) (mq.HAStatus, error) { return mq.HAStatus{}, errAlone }
