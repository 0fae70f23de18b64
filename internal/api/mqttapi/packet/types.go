package packet

// Type is the kind of a control packet (MQTT 5.0, 2.1.2).
type Type byte

// The control packets.
const (
	Connect Type = iota + 1
	Connack
	Publish
	Puback
	Pubrec
	Pubrel
	Pubcomp
	Subscribe
	Suback
	Unsubscribe
	Unsuback
	Pingreq
	Pingresp
	Disconnect
	Auth
)

// will is no packet: it is the place of the will's properties in the table of properties.
const will Type = 0

var typeNames = [...]string{
	"WILL", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK",
	"PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

// String returns the name in the standard.
func (t Type) String() string { return typeNames[t&15] }

// Version is the protocol level of CONNECT.
type Version byte

// Protocol levels.
const (
	V31  Version = 3
	V311 Version = 4
	V5   Version = 5
)

// Reason is a reason code of MQTT 5.0 (2.4).
type Reason byte

// Reason codes.
const (
	Success                Reason = 0x00
	GrantedQoS1            Reason = 0x01
	GrantedQoS2            Reason = 0x02
	DisconnectWithWill     Reason = 0x04
	NoMatchingSubscribers  Reason = 0x10
	NoSubscriptionExisted  Reason = 0x11
	ContinueAuthentication Reason = 0x18
	ReAuthenticate         Reason = 0x19

	Unspecified                Reason = 0x80
	Malformed                  Reason = 0x81
	ProtocolError              Reason = 0x82
	ImplementationSpecific     Reason = 0x83
	UnsupportedVersion         Reason = 0x84
	ClientIDInvalid            Reason = 0x85
	BadUserOrPassword          Reason = 0x86
	NotAuthorized              Reason = 0x87
	ServerUnavailable          Reason = 0x88
	ServerBusy                 Reason = 0x89
	Banned                     Reason = 0x8A
	ServerShuttingDown         Reason = 0x8B
	BadAuthMethod              Reason = 0x8C
	KeepAliveTimeout           Reason = 0x8D
	SessionTakenOver           Reason = 0x8E
	FilterInvalid              Reason = 0x8F
	TopicInvalid               Reason = 0x90
	PacketIDInUse              Reason = 0x91
	PacketIDNotFound           Reason = 0x92
	ReceiveMaximumExceeded     Reason = 0x93
	AliasInvalid               Reason = 0x94
	TooLarge                   Reason = 0x95
	RateTooHigh                Reason = 0x96
	QuotaExceeded              Reason = 0x97
	AdministrativeAction       Reason = 0x98
	PayloadFormatInvalid       Reason = 0x99
	RetainNotSupported         Reason = 0x9A
	QoSNotSupported            Reason = 0x9B
	UseAnotherServer           Reason = 0x9C
	ServerMoved                Reason = 0x9D
	SharedNotSupported         Reason = 0x9E
	ConnectionRateExceeded     Reason = 0x9F
	MaxConnectTime             Reason = 0xA0
	SubscriptionIDNotSupported Reason = 0xA1
	WildcardNotSupported       Reason = 0xA2
)

// Failed reports whether the code says that something was not done.
func (r Reason) Failed() bool { return r >= 0x80 }

// Error is a packet that cannot be taken. The connection is to end with its reason.
type Error struct {
	Reason Reason
	Text   string
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

func malformed(text string) *Error { return &Error{Malformed, text} }
func illegal(text string) *Error   { return &Error{ProtocolError, text} }

// ReturnCode turns the reason of a refused CONNECT into the return code of versions 3.1 and 3.1.1.
func (r Reason) ReturnCode() byte {
	switch r {
	case Success:
		return 0
	case UnsupportedVersion:
		return 1
	case ClientIDInvalid:
		return 2
	case BadUserOrPassword, BadAuthMethod:
		return 4
	case NotAuthorized, Banned:
		return 5
	default:
		return 3 // server unavailable
	}
}
