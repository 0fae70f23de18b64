package broker

import (
	"strings"

	"github.com/cometmq/cometmq/internal/mq"
)

const (
	retryPrefix = "%RETRY%"
	dlqPrefix   = "%DLQ%"

	maxRetryTopicName = 255
)

// faq ends many of Java's remarks.
const faq = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."

// isBlank is Java's UtilAll.isBlank: nothing but white space.
func isBlank(s string) bool { return strings.TrimSpace(s) == "" }

// checkTopicName returns why clients may not use a topic name, nil when they may.
func checkTopicName(name string) *mq.Error {
	special := strings.HasPrefix(name, retryPrefix) || strings.HasPrefix(name, dlqPrefix)
	switch {
	case isBlank(name):
		return mq.Errorf(mq.KindInvalidParameter, "The specified topic is blank.")
	case !mq.LegalName(name):
		return mq.Errorf(mq.KindInvalidParameter,
			"The specified topic: %s, contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$", name)
	case special && len(name) > maxRetryTopicName:
		return mq.Errorf(mq.KindInvalidParameter,
			"The specified topic is DLQ or Retry topic: %s, and it's longer than topic max length: %d", name, maxRetryTopicName)
	case !special && len(name) > mq.MaxTopicName:
		return mq.Errorf(mq.KindInvalidParameter, "The specified topic: %s, is longer than topic max length: %d", name, mq.MaxTopicName)
	}
	return nil
}

// checkGroupName is the same for groups.
func checkGroupName(name string) *mq.Error {
	switch {
	case isBlank(name):
		return mq.Errorf(mq.KindInvalidParameter, "The specified group is blank.")
	case !mq.LegalName(name):
		return mq.Errorf(mq.KindInvalidParameter,
			"The specified group: %s, contains illegal characters, allowing only ^[%%|a-zA-Z0-9_-]+$", name)
	case len(name) > mq.MaxGroupName:
		return mq.Errorf(mq.KindInvalidParameter, "The specified group: %s, is longer than group max length: %d", name, mq.MaxGroupName)
	}
	return nil
}
