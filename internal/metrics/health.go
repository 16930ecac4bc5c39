package metrics

import "github.com/prometheus/client_golang/prometheus"

var up = describe("stek_keystore_up",
	"1 if the last refresh of the key set and the last questions to a KeyStore succeeded, 0 if one failed. "+
		"The keys published before stay to the end of their windows.")

func describeHealth(descs chan<- *prometheus.Desc) { descs <- up }

func collectHealth(metrics chan<- prometheus.Metric, table string, err error) {
	value := 1.0
	if err != nil {
		value = 0
	}
	metrics <- gauge(up, value, table)
}
