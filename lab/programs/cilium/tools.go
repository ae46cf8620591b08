//go:build tools

// Package programs names what the lab builds from this module, so that go.mod and go.sum pin all of it.
package programs

import _ "github.com/cilium/cilium/cilium-cli/cmd/cilium"
