package chaos

func clientRows() []row { return nil }
