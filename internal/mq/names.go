package mq

// The longest names that clients may give to topics and groups, in bytes (Java TopicValidator, Validators). Topics of retries and dead
// letters may be longer.
const (
	MaxTopicName = 127
	MaxGroupName = 120
)

// LegalNameByte reports whether names of topics and groups may have this character.
func LegalNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '%' || c == '|' || c == '_' || c == '-'
}

// LegalName reports whether all characters are among those that topics and groups may have.
func LegalName(s string) bool {
	for i := range len(s) {
		if !LegalNameByte(s[i]) {
			return false
		}
	}
	return true
}
