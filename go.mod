module github.com/cometmq/cometmq

go 1.26

require (
	github.com/magiconair/properties v1.18.12 // indirect
	go.uber.org/goleak v1.3.0 // indirect
)
