//go:build tools

// Package tools pins the etcd server that the tests' control plane runs; nothing imports it.
package tools

import _ "go.etcd.io/etcd/server/v3"
