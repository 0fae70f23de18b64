// Package topic knows the names of MQTT: topic names and filters, where the messages of a name are kept in RocketMQ, and which filters
// match a name.
//
// The mapping is that of apache/rocketmq-mqtt (TopicUtils, WildcardManager, LmqQueueStoreManager), so that its producers and consumers
// find each other through us:
//
//	MQTT name            RocketMQ topic   queue name       light queue
//	t                    t                t                %LMQ%t
//	t/a/b, t/a/b/        t                t/a/b/           %LMQ%t%a%b%
//	/t/a                 t                /t/a/            %LMQ%%t%a%
//	t/p2p/C/x            t                /p2p/C/          %LMQ%%p2p%C%
package topic
