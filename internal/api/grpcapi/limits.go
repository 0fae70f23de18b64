package grpcapi

import (
	"cmp"
	"time"
)

// Limits bound what clients may ask for. They are those of Java's ProxyConfig; 0 stands for its default.
type Limits struct {
	Request         int           // grpcMaxInboundMessageSize, bytes
	Body            int           // maxMessageSize, bytes
	UserProperties  int           // userPropertyMaxNum
	PropertySize    int           // maxUserPropertySize: of user properties, tag and keys together, bytes
	GroupSize       int           // maxMessageGroupSize: a message group has fewer bytes
	Delay           time.Duration // maxDelayTimeMills
	Recovery        time.Duration // maxTransactionRecoverySecond
	MinInvisible    time.Duration // minInvisibleTimeMillsForRecv
	MaxInvisible    time.Duration // maxInvisibleTimeMills
	Invisible       time.Duration // defaultInvisibleTimeMills: of messages that are renewed
	MinPoll         time.Duration // grpcClientConsumerMinLongPollingTimeoutMillis
	MaxPoll         time.Duration // grpcClientConsumerMaxLongPollingTimeoutMillis
	Batch           int32         // messages of one ReceiveMessage
	LiteTopicSize   int           // bytes
	LiteUnsettled   int           // maxLiteRenewNumPerChannel
	Renewal         time.Duration // renewMaxTimeMillis: how long a message is renewed in all
	Clients         int           // that have sent settings
	AnyType         bool          // enableTopicMessageTypeCheck = false
	AllowEmptyBody  bool          // enableMessageBodyEmptyCheck = false
	NoRenewal       bool          // enableProxyAutoRenew = false
	WaitForSettings time.Duration // how long a telemetry stream may be silent before its first settings
}

func (l *Limits) setDefaults() {
	l.Request = cmp.Or(l.Request, 130<<20)
	l.Body = cmp.Or(l.Body, 4<<20)
	l.UserProperties = cmp.Or(l.UserProperties, 128)
	l.PropertySize = cmp.Or(l.PropertySize, 16<<10)
	l.GroupSize = cmp.Or(l.GroupSize, 64)
	l.Delay = cmp.Or(l.Delay, 24*time.Hour)
	l.Recovery = cmp.Or(l.Recovery, time.Hour)
	l.MinInvisible = cmp.Or(l.MinInvisible, 10*time.Second)
	l.MaxInvisible = cmp.Or(l.MaxInvisible, 12*time.Hour)
	l.Invisible = cmp.Or(l.Invisible, time.Minute)
	l.MinPoll = cmp.Or(l.MinPoll, 5*time.Second)
	l.MaxPoll = cmp.Or(l.MaxPoll, 20*time.Second)
	l.Batch = cmp.Or(l.Batch, 32)
	l.LiteTopicSize = cmp.Or(l.LiteTopicSize, 64)
	l.LiteUnsettled = cmp.Or(l.LiteUnsettled, 100)
	l.Renewal = cmp.Or(l.Renewal, 3*time.Hour)
	l.Clients = cmp.Or(l.Clients, 100_000)
	l.WaitForSettings = cmp.Or(l.WaitForSettings, 30*time.Second)
}
