package config

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Auth is who may use the process (Java's AuthConfig).
//
// Differs from Java: name servers and controllers have these keys, too; Java's let everybody do everything.
type Auth struct {
	Authenticate bool          `key:"authenticationEnabled" doc:"requests must be signed by a user"`
	Authorize    bool          `key:"authorizationEnabled" doc:"users may do what their policies allow, super users everything"`
	Unsigned     []string      `key:"authenticationWhitelist" sep:"," doc:"request codes that need no signature"`
	Unchecked    []string      `key:"authorizationWhitelist" sep:"," doc:"request codes that need no permission"`
	Init         string        `key:"initAuthenticationUser" doc:"super user that is made when it does not exist, {\"username\":\"...\",\"password\":\"...\"}"`
	Inner        string        `key:"innerClientAuthenticationCredentials" doc:"what this process signs its own requests with, {\"accessKey\":\"...\",\"secretKey\":\"...\"}; with access control also a super user that is made when it does not exist, so give all brokers, name servers and controllers the same"`
	Migrate      bool          `key:"migrateAuthFromV1Enabled" doc:"take over the accounts of conf/plain_acl.yml and conf/acl/*.yml in rocketmqHome, at the start and when they change"`
	Poll         time.Duration `key:"aclFilePollInterval" unit:"ms" min:"10" max:"3600000" doc:"time between looks at those files"`
	Dir          string        `key:"authConfigPath" doc:"folder of users, policies and the audit log, default auth among the other files of the role"`
	FailBurst    int           `key:"authenticationFailureBurst" min:"0" max:"1000000" doc:"failed authentications of one address and user after which its requests are refused unread, 0 = no limit"`
	FailEvery    time.Duration `key:"authenticationFailureInterval" unit:"ms" min:"1" max:"3600000" doc:"time after which one of them is forgotten"`
}

// defaultAuth returns Java's defaults, where Java has the key.
func defaultAuth() Auth {
	return Auth{Poll: 5 * time.Second, FailBurst: 20, FailEvery: time.Second}
}

// Any reports whether requests are checked at all.
func (a *Auth) Any() bool { return a.Authenticate || a.Authorize }

// Account is a name and its secret.
type Account struct{ Name, Secret string }

// InitUser is initAuthenticationUser, false without one.
func (a *Auth) InitUser() (Account, bool) { return accountOf(a.Init, "username", "password") }

// InnerUser is innerClientAuthenticationCredentials, false without.
func (a *Auth) InnerUser() (Account, bool) { return accountOf(a.Inner, "accessKey", "secretKey") }

func accountOf(text, name, secret string) (Account, bool) {
	var m map[string]any
	if strings.TrimSpace(text) == "" || json.Unmarshal([]byte(text), &m) != nil {
		return Account{}, false
	}
	n, _ := m[name].(string)
	s, _ := m[secret].(string)
	return Account{n, s}, strings.TrimSpace(n) != "" && strings.TrimSpace(s) != ""
}

// Codes are the numbers of a white list.
func Codes(list []string) []int32 {
	var out []int32
	for _, s := range list {
		if n, err := strconv.ParseInt(s, 10, 32); err == nil {
			out = append(out, int32(n))
		}
	}
	return out
}

// checkAuth checks the settings of access control. dir is where its files are by default, home where Java's are; asks: the process asks
// others of its kind.
func (l *loader) checkAuth(a *Auth, dir, home string, asks bool, set settings) {
	for key, list := range map[string][]string{"authenticationWhitelist": a.Unsigned, "authorizationWhitelist": a.Unchecked} {
		if len(Codes(list)) != len(list) {
			l.bad(key, entry{strings.Join(list, ","), set.source(key)}, "numbers of request codes, separated by commas")
		}
	}
	if _, ok := a.InitUser(); !ok && a.Init != "" {
		l.bad("initAuthenticationUser", entry{Hidden, set.source("initAuthenticationUser")}, `{"username":"...","password":"..."}`)
	}
	if _, ok := a.InnerUser(); !ok && a.Inner != "" {
		const key = "innerClientAuthenticationCredentials"
		l.bad(key, entry{Hidden, set.source(key)}, `{"accessKey":"...","secretKey":"..."}`)
	}
	warn := func(key, text string) { l.notice(slog.LevelWarn, key, set.source(key), "%s", text) }
	if a.Authorize && !a.Authenticate {
		warn("authorizationEnabled", "without authenticationEnabled = true everybody may claim to be any user")
	}
	if a.Authenticate && a.Inner == "" && asks {
		warn("innerClientAuthenticationCredentials", "it is empty: what this process asks others is not signed, and refused where they have authenticationEnabled = true")
	}
	if a.Migrate && home == "" {
		warn("migrateAuthFromV1Enabled", "rocketmqHome is empty, so there is no conf/plain_acl.yml to read")
	}
	if a.Dir == "" {
		a.Dir = dir
	}
}
