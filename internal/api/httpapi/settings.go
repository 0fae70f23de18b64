package httpapi

import (
	"encoding/json"
	"net/url"
	"regexp"
)

type settingsAnswer struct {
	Masking       []maskingRule `json:"masking"`
	Prometheus    string        `json:"prometheus,omitempty"`
	Authenticator string        `json:"authenticator"`
	Listen        string        `json:"listen"`
	BasePath      string        `json:"basePath"`
	Version       string        `json:"version"`
	Commit        string        `json:"commit,omitempty"`
	Started       int64         `json:"started"`
	AuditDays     int           `json:"auditDays"`
	NameServers   []string      `json:"nameServers"`
}

func (c *call) settingsAnswer(s *settings) *settingsAnswer {
	o := &c.a.o
	return &settingsAnswer{
		append([]maskingRule{}, s.Masking...), s.Prometheus, o.Auth, o.Listen, c.a.base + "/", o.Version, o.Commit, c.a.started.UnixMilli(), auditDays,
		c.a.cluster.NameServers(),
	}
}

func getSettings(c *call) (any, error) {
	s, err := c.a.settings()
	if err != nil {
		return nil, err
	}
	return c.settingsAnswer(s), nil
}

const maxMasking = 200

func checkMasking(rules []maskingRule) error {
	if len(rules) > maxMasking {
		return badField("masking", "tooMany", "%d rules at most", maxMasking)
	}
	for _, r := range rules {
		switch r.Kind {
		case "property":
			if r.Pattern == "" {
				return badField("masking", "missing", "a rule for a property needs its name")
			}
		case "jsonPath":
			if p, err := parsePath(r.Pattern); err != nil || len(p) == 0 {
				return badField("masking", "badPath", "%q is no path like $.a.b", r.Pattern)
			}
		default:
			return badField("masking", "unknownKind", "want property or jsonPath, not %q", r.Kind)
		}
		if _, err := regexp.Compile(r.Topic); err != nil {
			return badField("masking", "badRegex", "%v", err)
		}
	}
	return nil
}

func patchSettings(c *call) (any, error) {
	var in struct {
		Masking    *[]maskingRule `json:"masking"`
		Prometheus *string        `json:"prometheus"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	now, err := c.a.settings()
	if err != nil {
		return nil, err
	}
	if err := c.unchanged(c.settingsAnswer(now)); err != nil {
		return nil, err
	}
	next := *now
	if in.Masking != nil {
		if err := checkMasking(*in.Masking); err != nil {
			return nil, err
		}
		next.Masking = *in.Masking
	}
	if in.Prometheus != nil {
		if u, err := url.Parse(*in.Prometheus); *in.Prometheus != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return nil, badField("prometheus", "badURL", "%q is no http or https address", *in.Prometheus)
		}
		next.Prometheus = *in.Prometheus
	}
	c.before, c.after = settingsText(now), settingsText(&next)
	if err := c.a.keep.put(settingsBucket, "settings", &next); err != nil {
		return nil, err
	}
	c.a.own.mu.Lock()
	c.a.own.v = &next
	c.a.own.mu.Unlock()
	return c.settingsAnswer(&next), nil
}

func settingsText(s *settings) string {
	b, _ := json.Marshal(s) // strings always can be
	return string(b)
}
