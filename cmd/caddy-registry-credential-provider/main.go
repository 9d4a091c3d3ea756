// Command caddy-registry-credential-provider is a plugin of the kubelet
// (KEP-2133, KEP-4412): it turns the service account token of a pod into the
// login with which the pod's images are pulled from a gateway. No secret is
// kept in the cluster or on the node. It needs no network and no configuration
// of its own; the kubelet says for which images it is asked.
//
//	kubelet --image-credential-provider-config=/etc/kubernetes/credential-provider.yaml \
//	        --image-credential-provider-bin-dir=/usr/local/lib/kubelet
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	if err := answer(os.Stdin, os.Stdout, time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "caddy-registry-credential-provider:", err)
		os.Exit(1)
	}
}
