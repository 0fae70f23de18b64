package httpapi

import (
	"context"
	"math"
	"time"

	"github.com/cometmq/cometmq/internal/mq"
	"github.com/cometmq/cometmq/internal/series"
)

// countGroups fills in how many groups have a position in a topic. Without an answer of every broker it is not known.
func (k *cluster) countGroups(ctx context.Context, list []topicAnswer) {
	answers, errs := ask(ctx, k.readers(), k.progress)
	if len(errs) > 0 {
		return
	}
	readers := map[string]map[string]bool{}
	for _, a := range answers {
		for i := range a.v.Groups {
			addReaders(readers, &a.v.Groups[i])
		}
	}
	for i := range list {
		n := len(readers[list[i].Name])
		list[i].Groups = &n
	}
}

func addReaders(readers map[string]map[string]bool, g *mq.GroupStats) {
	for i := range g.Stats {
		for _, q := range g.Stats[i].Queues {
			if readers[q.Queue.Topic] == nil {
				readers[q.Queue.Topic] = map[string]bool{}
			}
			readers[q.Queue.Topic][g.Group] = true
		}
	}
}

const (
	trafficName = "topic.in.tps"
	// trafficOld is the age from which on a rate is no longer one of now.
	trafficOld = time.Minute
	// todayFor is how long the sums of a day are used: they are read from a file.
	todayFor = 30 * time.Second
)

// past is what a store of figures can tell of all topics at once; a Prometheus cannot.
type past interface {
	Latest(name string, since int64) []series.Point
	Grown(name string, labels map[string]string, by string, from int64) (map[string]float64, error)
}

// traffic fills in what comes in, as far as it is sampled. Who samples its own broker counts each message: what has no figure had none.
// But it does not know what other broker sets of the cluster took.
func (k *cluster) traffic(ctx context.Context, list []topicAnswer) {
	asker, _, err := k.a.asker()
	if err != nil {
		return
	}
	figures, ok := asker.(past)
	own := k.a.o.OwnMetrics
	if !ok || own && len(k.sets) > 1 {
		return
	}
	now := k.a.now()
	rates := map[string]float64{}
	for _, p := range figures.Latest(trafficName, now.Add(-trafficOld).UnixMilli()) {
		if p.Labels["cluster"] == k.name {
			rates[p.Labels["topic"]] = p.Value
		}
	}
	var today map[string]float64
	if own {
		today, _ = k.a.today.get(ctx, k.name, todayFor, func(context.Context) (map[string]float64, error) {
			return figures.Grown(trafficName, map[string]string{"cluster": k.name}, "topic", midnight(now).UnixMilli())
		}) // without the file there is no sum
	}
	for i := range list {
		t := &list[i]
		if rate, ok := rates[t.Name]; ok || own {
			t.InTPS = &rate
		}
		if today != nil {
			t.InToday = opt(int64(math.Round(today[t.Name])))
		}
	}
}

func midnight(now time.Time) time.Time {
	year, month, day := now.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, now.Location())
}
