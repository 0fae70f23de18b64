package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cometmq/cometmq/internal/logicqueue"
	"github.com/cometmq/cometmq/internal/mq"
)

func staticCommands() []Command {
	flags := []Flag{
		ofTopic, opt("b", "brokers", "broker names, with commas"), opt("c", "clusters", "all brokers of these clusters, with commas"),
		opt("mf", "mapFile", "take the mapping from this file"), opt("fr", "forceReplace", "replace what the brokers know without comparing, true or false"),
	}
	return []Command{
		{
			Name: "updateStaticTopic", About: "Create a static topic, or give it more queues", Changes: true, OneOf: either, Run: updateStatic,
			Flags: append(slices.Clone(flags), need("qn", "totalQueueNum", "logical queues in the whole cluster").num(32)),
		},
		{
			Name: "remappingStaticTopic", About: "Move the queues of a static topic to other brokers", Changes: true, Destroys: true, OneOf: either, Run: remapStatic,
			Flags: flags,
		},
	}
}

// staticTopic is a static topic while it is changed.
type staticTopic struct {
	*Call
	name    string
	info    mq.ClusterInfo
	configs map[string]mq.TopicConfig // by broker
	have    logicqueue.Plan
}

// static reads what all brokers know of the topic of -t, and which brokers -b or -c name.
func (c *Call) static() (*staticTopic, []string, error) {
	info, err := c.info()
	if err != nil {
		return nil, nil, err
	}
	var targets []string
	for name := range strings.SplitSeq(c.Str("b"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			targets = append(targets, name)
		}
	}
	for name := range strings.SplitSeq(c.Str("c"), ",") {
		targets = append(targets, info.Clusters[strings.TrimSpace(name)]...)
	}
	if len(targets) == 0 {
		return nil, nil, errors.New("Find none brokers, do nothing") //nolint:staticcheck // Java's text
	}
	slices.Sort(targets)
	s := &staticTopic{c, c.Str("t"), info, map[string]mq.TopicConfig{}, logicqueue.Plan{}}
	for _, name := range targets {
		if _, err := s.master(name); err != nil {
			return nil, nil, err
		}
	}
	for _, set := range info.In("") {
		b, err := s.master(set.Name)
		if err != nil {
			return nil, nil, err
		}
		t, err := b.Topic(c.Ctx, s.name)
		if mq.KindOf(err) == mq.KindTopicNotExist {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		s.configs[set.Name] = t
		s.have[set.Name] = &logicqueue.Share{Read: t.ReadQueues, Write: t.WriteQueues, Mapping: t.Static}
	}
	return s, slices.Compact(targets), nil
}

// master is the one to tell.
func (s *staticTopic) master(name string) (mq.RemoteBroker, error) {
	set, ok := s.info.Brokers[name]
	if !ok || set.Master() == "" {
		return nil, fmt.Errorf("Can't find addr for broker %s", name) //nolint:staticcheck // Java's text
	}
	return s.Broker(set.Master()), nil
}

// put tells one broker its share.
func (s *staticTopic) put(p logicqueue.Plan, name string) error {
	b, err := s.master(name)
	if err != nil {
		return err
	}
	t, ok := s.configs[name]
	if !ok {
		t = mq.TopicConfig{Name: s.name, Perm: mq.PermRead | mq.PermWrite, Filter: "SINGLE_TAG"}
	}
	t.ReadQueues, t.WriteQueues, t.Static = p[name].Read, p[name].Write, p[name].Mapping
	return b.PutStaticTopic(s.Ctx, t, s.Bool("fr", false))
}

// complete adds the other brokers of the clusters that p is in.
func (s *staticTopic) complete(p logicqueue.Plan) {
	for _, brokers := range s.info.Clusters {
		if slices.ContainsFunc(brokers, func(name string) bool { return p[name] != nil }) {
			p.Complete(s.name, brokers)
		}
	}
}

// wrapper is the file that Java's tool writes before and after a change (TopicRemappingDetailWrapper), and reads with -mf.
type wrapper struct {
	Topic  string                 `json:"topic"`
	Type   string                 `json:"type"`
	Epoch  int64                  `json:"epoch"`
	Shares map[string]wrappedPart `json:"brokerConfigMap"`
	In     []string               `json:"brokerToMapIn"`
	Out    []string               `json:"brokerToMapOut"`
}

type wrappedPart struct {
	topicJSON
	Mapping *logicqueue.Mapping `json:"mappingDetail"`
}

// save writes a plan into the temporary directory, for the operator who wants the state before back.
func (s *staticTopic) save(p logicqueue.Plan, kind, suffix string, in, out []string) (string, error) {
	w := wrapper{Topic: s.name, Type: kind, Shares: map[string]wrappedPart{}, In: append([]string{}, in...), Out: append([]string{}, out...)}
	for name, share := range p {
		t := s.configs[name]
		t.Name, t.ReadQueues, t.WriteQueues = s.name, share.Read, share.Write
		w.Shares[name] = wrappedPart{topicValue(&t), share.Mapping}
		if share.Mapping != nil {
			w.Epoch = share.Mapping.Epoch
		}
	}
	if w.Epoch == 0 {
		w.Epoch = s.env.Now().UnixMilli()
	}
	data, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.env.TempDir, fmt.Sprintf("%s-%d.%s", s.name, w.Epoch, suffix))
	return path, s.env.WriteFile(path, data)
}

// load reads the file of -mf.
func (s *staticTopic) load() (logicqueue.Plan, []string, []string, error) {
	data, err := s.env.ReadFile(s.Str("mf"))
	if err != nil {
		return nil, nil, nil, err
	}
	var w wrapper
	if err := json.Unmarshal(data, &w); err != nil {
		return nil, nil, nil, fmt.Errorf("%s is no mapping: %w", s.Str("mf"), err)
	}
	p := logicqueue.Plan{}
	for name, part := range w.Shares {
		p[name] = &logicqueue.Share{Read: part.Read, Write: part.Write, Mapping: part.Mapping}
	}
	for _, name := range slices.Concat(w.In, w.Out) {
		if p[name] == nil {
			return nil, nil, nil, fmt.Errorf("%s: broker %s is to be changed but has no mapping", s.Str("mf"), name)
		}
	}
	return p, w.In, w.Out, p.Valid(s.name)
}

// saved writes the plans before and after a change and says where.
func (s *staticTopic) saved(p logicqueue.Plan, kind string, in, out []string) error {
	if s.Has("dry-run") {
		return nil
	}
	for _, f := range []struct {
		plan        logicqueue.Plan
		suffix, say string
		in, out     []string
	}{{s.have, "before", "old", nil, nil}, {p, "after", "new", in, out}} {
		path, err := s.save(f.plan, kind, f.suffix, f.in, f.out)
		if err != nil {
			return err
		}
		s.Say("The %s mapping data is written to file %s\n", f.say, path)
	}
	return nil
}

// tell gives brokers their shares, one after the other, and stops at the first that fails: the rest would not fit.
func (s *staticTopic) tell(p logicqueue.Plan, brokers []string) bool {
	for _, name := range brokers {
		if !s.Change(func() error { return s.put(p, name) }, "tell broker %s: %s", name, shareText(p[name])) && !s.Has("dry-run") {
			return false
		}
	}
	return true
}

// shareText says which logical queues a broker leads, with the physical ones.
func shareText(s *logicqueue.Share) string {
	led := s.Mapping.Led()
	list := make([]string, 0, len(led))
	for _, id := range led {
		l, _ := s.Mapping.Leader(id)
		list = append(list, fmt.Sprintf("%d on its queue %d", id, l[len(l)-1].Queue))
	}
	if len(list) == 0 {
		list = []string{"no logical queue"}
	}
	return fmt.Sprintf("%d queues, leads %s", s.Write, strings.Join(list, ", "))
}

// updateStatic differs from Java: its tool does not read the file of -mf, and forgets -fr.
func updateStatic(c *Call) error {
	s, targets, err := c.static()
	if err != nil {
		return err
	}
	var p logicqueue.Plan
	if c.Has("mf") {
		p, _, _, err = s.load()
	} else {
		p, err = s.have.Grow(s.name, c.Int32("qn", 0), targets, c.env.Now().UnixMilli())
	}
	if err != nil {
		return err
	}
	if err := s.saved(p, "CREATE_OR_UPDATE", nil, nil); err != nil {
		return err
	}
	s.complete(p)
	if s.tell(p, slices.Sorted(maps.Keys(p))) {
		s.summary(p)
	}
	return nil
}

// remapStatic first tells those that get queues and then those that lose them, so that nobody writes to the old ones; then the logical
// positions of the new ones are known, and all are told.
func remapStatic(c *Call) error {
	s, targets, err := c.static()
	if err != nil {
		return err
	}
	if len(s.have) == 0 {
		return errors.New("No topic route to do the remapping") //nolint:staticcheck // Java's text
	}
	var p logicqueue.Plan
	var in, out []string
	if c.Has("mf") {
		p, in, out, err = s.load()
	} else {
		p, in, out, err = s.have.Move(s.name, targets, c.env.Now().UnixMilli())
	}
	if err != nil {
		return err
	}
	if err := s.saved(p, "REMAPPING", in, out); err != nil {
		return err
	}
	s.complete(p)
	if len(in) == 0 && c.Has("dry-run") {
		c.Row(map[string]string{"would": "move no queue"}, "would move no queue: they are where they belong\n")
	}
	if !s.tell(p, in) || !s.tell(p, out) || c.Has("dry-run") {
		return nil
	}
	for _, name := range out {
		if err := s.decide(p, name); err != nil {
			return err
		}
	}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(p)), func(name string) bool { return slices.Contains(in, name) || slices.Contains(out, name) })
	if s.tell(p, slices.Concat(in, rest)) {
		s.summary(p)
	}
	return nil
}

// decide asks a broker where the queues end that it has lost.
func (s *staticTopic) decide(p logicqueue.Plan, name string) error {
	b, err := s.master(name)
	if err != nil {
		return err
	}
	st, err := b.TopicStats(s.Ctx, s.name)
	if err != nil {
		return err
	}
	return p.Decide(name, func(queue int32) (mq.Index, bool) {
		i := slices.IndexFunc(st.Queues, func(q mq.QueueStats) bool { return q.Queue.ID == queue && q.Queue.Broker == name })
		if i < 0 {
			return 0, false
		}
		return st.Queues[i].Max, true
	})
}

// summary is for programs: who leads which queue now.
func (s *staticTopic) summary(p logicqueue.Plan) {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		s.Row(map[string]any{"broker": name, "topic": s.name, "leads": append([]int32{}, p[name].Mapping.Led()...)}, "")
	}
}
