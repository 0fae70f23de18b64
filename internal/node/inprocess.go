package node

import "github.com/cometmq/cometmq/internal/mq"

// Service is the core of the broker of this process for callers inside the process, nil when that role is not played. It is asked for
// anew for each use: a change of role makes another one.
func (n *Node) Service() mq.Service {
	if n.broker == nil {
		return nil
	}
	return n.broker.now().core
}

// Admin is the operator's side of Service.
func (n *Node) Admin() mq.Admin {
	if n.broker == nil {
		return nil
	}
	return n.broker.now().core
}
