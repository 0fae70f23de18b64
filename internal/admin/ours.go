package admin

// ourCommands are what mqadmin lacks.
func ourCommands() []Command {
	group, topic := opt("g", "group", "consumer group"), opt("t", "topic", "topic name")
	begin, end := opt("b", "beginTimestamp", "from this time: now, ms, or yyyy-MM-dd#HH:mm:ss:SSS"), opt("e", "endTimestamp", "to this time")
	return []Command{
		{
			Name: "doctor", About: "Walk from the name servers to the brokers and name what is wrong", Ours: true, Run: doctor,
			Flags: []Flag{topic, group},
		},
		{
			Name: "lag", About: "How far groups are behind, in messages and in time", Ours: true, Run: lag,
			Flags: []Flag{group, topic, opt("", "over", "only what is more messages behind; exit code 1 when there is any").num(64)},
		},
		{
			Name: "tail", About: "Show messages as they arrive", Ours: true, Run: tail,
			Flags: []Flag{
				ofTopic, opt("", "filter", "tags such as 'A || B', or SQL on properties such as \"region = 'EU' AND n > 3\""),
				opt("", "since", "begin at this time: ms or yyyy-MM-dd#HH:mm:ss:SSS"), opt("", "count", "end after so many").num(64),
			},
		},
		{
			Name: "explain", About: "Where a message is, who has consumed it, and why not", Ours: true, Run: explain,
			Flags: []Flag{need("i", "msgId", "offset message id, or the client's message id"), opt("t", "topic", "its topic; without it all topics are asked")},
		},
		{
			Name: "top", About: "Brokers, topics and groups by load, again and again", Ours: true, Run: top,
			Flags: []Flag{opt("", "every", "time between two looks, default 2s"), opt("", "count", "end after so many looks").num(32), opt("", "lines", "lines of each table, default 10").num(32)},
		},
		{
			Name: "replay", About: "Send dead letters or a time range of a topic again", Ours: true, Changes: true, Destroys: true, Run: replay,
			Flags: []Flag{
				opt("g", "group", "the dead letters of this group, each to the topic it came from"), topic, opt("", "to", "send all to this topic"), begin, end,
				opt("s", "subExpression", "only these tags"), opt("", "rate", "messages a second, default 100").num(32),
				opt("", "max", "at most so many").num(64),
			},
		},
		quotaCommand(), upgradeCommand(),
		{Name: "kv", About: "List a namespace of the name servers' KV tables", Ours: true, Flags: []Flag{need("s", "namespace", "namespace")}, Run: kv},
	}
}
