package httpapi

import (
	_ "embed" // the contract
	"encoding/json"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var contract []byte

// documentCache holds the contract as JSON once somebody has asked for it.
type documentCache struct {
	once sync.Once
	json []byte
	err  error
}

func (d *documentCache) get() ([]byte, error) {
	d.once.Do(func() {
		var v any
		if d.err = yaml.Unmarshal(contract, &v); d.err == nil {
			d.json, d.err = json.Marshal(v)
		}
	})
	return d.json, d.err
}

func getOpenAPI(c *call) (any, error) {
	b, err := c.a.document.get()
	if err != nil {
		return nil, err
	}
	return json.RawMessage(b), nil
}

type healthAnswer struct {
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
	status int
}

func (h *healthAnswer) httpStatus() int { return h.status }

func getHealthz(*call) (any, error) { return &healthAnswer{Status: "ok"}, nil }

// getReadyz tells nobody more than whether a cluster answers: it is public.
func getReadyz(c *call) (any, error) {
	if _, err := c.a.cluster.NameServer("").ClusterInfo(c.ctx); err != nil {
		return &healthAnswer{Status: "unavailable", Detail: "no name server answers", status: http.StatusServiceUnavailable}, nil //nolint:nilerr // the answer says it
	}
	return &healthAnswer{Status: "ok"}, nil
}
