package chaos

func controllerRows() []row { return nil }
