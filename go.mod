module github.com/go-stek/stek

go 1.26.0

require (
	github.com/libp2p/go-openssl v0.1.0
	github.com/spacemonkeygo/openssl v0.0.0-20181017203307-c2dcc5cca94a
	github.com/stretchr/testify v1.12.1
	golang.org/x/sys v0.49.0
)

require (
	github.com/mattn/go-pointer v0.0.1 // indirect
	github.com/spacemonkeygo/spacelog v0.0.0-20180420211403-2296661a0572 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)
