package admin

func ourCommands() []Command {
	return []Command{
		{Name: "kv", About: "List a namespace of the name servers' KV tables", Ours: true, Flags: []Flag{need("s", "namespace", "namespace")}, Run: kv},
	}
}
