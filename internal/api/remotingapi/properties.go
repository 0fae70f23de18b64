package remotingapi

import (
	"context"
	"maps"
	"slices"

	"github.com/magiconair/properties"

	"github.com/cometmq/cometmq/internal/mq"
)

// parseProperties reads Java's .properties text. ${x} is not expanded.
func parseProperties(body []byte) (map[string]string, error) {
	p, err := (&properties.Loader{Encoding: properties.UTF8, DisableExpansion: true}).LoadBytes(body)
	if err != nil {
		return nil, err
	}
	return p.Map(), nil
}

// propertiesText prints values as Java answers them to tools: sorted, one a line, nothing escaped.
func propertiesText(values map[string]string) []byte {
	var out []byte
	for _, k := range slices.Sorted(maps.Keys(values)) {
		out = append(out, k...)
		out = append(out, '=')
		out = append(out, values[k]...)
		out = append(out, '\n')
	}
	return out
}

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
