package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The example that the README points at is a valid file without warnings.
func TestDocumentedExample(t *testing.T) {
	_, warnings, err := Load("../../docs/example.yml")
	require.NoError(t, err)
	require.Empty(t, warnings)
}
