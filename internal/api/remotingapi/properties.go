package remotingapi

import (
	"context"
	"maps"
	"slices"

	"github.com/cometmq/cometmq/internal/mq"
)

// noConfig is the configuration of a core that has none.
type noConfig struct{}

var errNoConfig = mq.Errorf(mq.KindUnsupported, "this broker has no configuration that could be read or changed")

func (noConfig) Properties(context.Context) (map[string]string, mq.DataVersion, error) {
	return nil, mq.DataVersion{}, errNoConfig
}

func (noConfig) SetProperties(context.Context, map[string]string, string) (string, error) {
	return "", errNoConfig
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
