//go:build tools

// Package cometbft pins the chain engine: `wharf chain install` builds the command below.
package cometbft

import _ "github.com/cometbft/cometbft/cmd/cometbft"
