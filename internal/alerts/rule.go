package alerts

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Kind says what a rule watches.
type Kind string

// Kinds of rules.
const (
	Lag           Kind = "lag"           // messages that a group is behind, by group
	LagTime       Kind = "lagTime"       // ms that the oldest of them has waited
	Disk          Kind = "disk"          // share of the disk that is used, 0 to 1, by broker
	ReplicaBehind Kind = "replicaBehind" // bytes that a slave does not have
	DeadLetters   Kind = "deadLetters"   // dead letters of a group that came in DeadSpan
	NoMaster      Kind = "noMaster"      // a broker set without a master; no threshold
	Clients       Kind = "clients"       // fewer consumers of a group than the threshold
	Certificate   Kind = "certificate"   // days until a certificate ends, fewer than the threshold
)

// Kinds lists all of them.
func Kinds() []Kind {
	return []Kind{Lag, LagTime, Disk, ReplicaBehind, DeadLetters, NoMaster, Clients, Certificate}
}

// below reports whether small values are bad.
func (k Kind) below() bool { return k == Clients || k == Certificate || k == NoMaster }

// Severity of a rule.
type Severity string

// Severities.
const (
	Warn  Severity = "warn"
	Fault Severity = "fault"
)

// Rule is what is watched.
type Rule struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Kind      Kind          `json:"kind"`
	Enabled   bool          `json:"enabled"`
	Cluster   string        `json:"cluster,omitempty"` // "" = each
	Target    string        `json:"target,omitempty"`  // RE2 that the whole name of the group or broker must match; "" = each
	Threshold float64       `json:"threshold"`
	For       time.Duration `json:"for"` // how long it must hold
	Severity  Severity      `json:"severity"`
	Webhook   string        `json:"webhook,omitempty"` // "" = that of the settings
	Builtin   bool          `json:"builtin,omitempty"` // comes with CometMQ; may be changed, and deleted
}

// FieldError says which field of a rule or setting is wrong.
type FieldError struct{ Field, Text string }

// Error names the field.
func (e *FieldError) Error() string { return e.Field + " " + e.Text }

const (
	maxFor  = 30 * 24 * time.Hour
	maxText = 1_000 // bytes of a name or expression
	// MaxRules is how many rules there may be.
	MaxRules = 500
)

// Validate checks a rule.
func (r *Rule) Validate() error {
	switch {
	case r.Name == "" || len(r.Name) > maxText:
		return &FieldError{"name", "must have 1 to 1000 bytes"}
	case !slices.Contains(Kinds(), r.Kind):
		return &FieldError{"kind", fmt.Sprintf("must be one of %v", Kinds())}
	case r.Severity != Warn && r.Severity != Fault:
		return &FieldError{"severity", "must be warn or fault"}
	case math.IsNaN(r.Threshold) || math.IsInf(r.Threshold, 0) || r.Threshold < 0:
		return &FieldError{"threshold", "must be a number that is not negative"}
	case r.Kind == Disk && r.Threshold > 1:
		return &FieldError{"threshold", "of a disk must be a share of 0 to 1"}
	case r.For < 0 || r.For > maxFor:
		return &FieldError{"for", "must be 0 to 30 days"}
	case len(r.Target) > maxText:
		return &FieldError{"target", "is too long"}
	}
	if _, err := r.match(); err != nil {
		return &FieldError{"target", err.Error()}
	}
	if r.Webhook != "" {
		if err := checkURL(r.Webhook); err != nil {
			return &FieldError{"webhook", err.Error()}
		}
	}
	return nil
}

func (r *Rule) match() (*regexp.Regexp, error) {
	return regexp.Compile(`^(?:` + cmp.Or(r.Target, ".*") + `)$`)
}

var errURL = errors.New("must begin with http:// or https:// and a host")

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errURL
	}
	return nil
}

// Defaults are the rules that a new file begins with. Thresholds of lag and clients by group, as those of the monitor of Java's dashboard
// (minimum of consumers, most messages behind), are for operators to add.
func Defaults() []Rule {
	return []Rule{
		{ID: "no-master", Name: "No master", Kind: NoMaster, For: 30 * time.Second, Severity: Fault, Enabled: true, Builtin: true},
		{ID: "disk-warn", Name: "Disk fills up", Kind: Disk, Threshold: 0.75, For: 5 * time.Minute, Severity: Warn, Enabled: true, Builtin: true},
		{ID: "disk-fault", Name: "Disk is nearly full", Kind: Disk, Threshold: 0.9, For: time.Minute, Severity: Fault, Enabled: true, Builtin: true},
		{ID: "replica", Name: "Replica is behind", Kind: ReplicaBehind, Threshold: 256 << 20, For: time.Minute, Severity: Warn, Enabled: true, Builtin: true},
		{ID: "dead", Name: "Dead letters", Kind: DeadLetters, Severity: Warn, Enabled: true, Builtin: true},
		{ID: "lag", Name: "Consumers are behind", Kind: Lag, Threshold: 100_000, For: 5 * time.Minute, Severity: Warn, Enabled: true, Builtin: true},
		{ID: "certificate", Name: "Certificate ends soon", Kind: Certificate, Threshold: 14, Severity: Warn, Enabled: true, Builtin: true},
	}
}

// Settings are what all rules share.
type Settings struct {
	Webhook string `json:"webhook,omitempty"` // where messages go, "" = nowhere
	Format  Format `json:"format,omitempty"`  // of the body; "" = JSON
	Secret  string `json:"secret,omitempty"`  // signs messages
}

// Validate checks settings.
func (s *Settings) Validate() error {
	if s.Webhook != "" {
		if err := checkURL(s.Webhook); err != nil {
			return &FieldError{"webhook", err.Error()}
		}
	}
	if !slices.Contains([]Format{"", JSON, DingTalk, WeCom}, s.Format) {
		return &FieldError{"format", "must be json, dingtalk or wecom"}
	}
	return nil
}
