module github.com/cometmq/cometmq

go 1.26
