//go:build tools

// Package tools pins the object stores that the tests run; nothing imports it. One module for all three, so that what
// they share is compiled once.
package tools

import (
	_ "github.com/distribution/distribution/v3/registry"
	_ "github.com/fsouza/fake-gcs-server"
	_ "github.com/versity/versitygw/embedgw"
)
