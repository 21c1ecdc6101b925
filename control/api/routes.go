package api

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/drover/drover/control/wire"
	"github.com/drover/drover/internal/pki"
)

// A route is one call of the API.
type route struct {
	method, path string
	access       access
	handle       handler
	// streams: the body goes on for as long as it takes, and its size is not bounded.
	streams bool
	// flocker: errors have exactly the fields that Flocker gave them.
	flocker bool
}

// A handler carries out one call. The reply counts only without an error.
type handler func(c *gin.Context, who pki.Identity) (reply, error)

func (a *api) routes() []route { return slices.Concat(a.droverRoutes(), a.flockerRoutes()) }

func (a *api) droverRoutes() []route {
	const get, put, patch, post, del = http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodPost, http.MethodDelete
	return []route{
		{method: get, path: wire.PathDrover, access: anyone, handle: a.version},
		// Both hold the environment of all applications, and so passwords: not for nodes.
		{method: get, path: wire.PathStatus, access: users, handle: a.status},
		{method: get, path: wire.PathPending, access: users, handle: a.pending},
		{method: get, path: wire.PathBackup, access: users, handle: a.backup},
		{method: get, path: wire.PathConfiguration, access: users, handle: a.configuration},
		{method: put, path: wire.PathConfiguration, access: users, handle: a.configure},
		{method: patch, path: wire.PathConfiguration, access: users, handle: a.patch},
		{method: post, path: wire.PathPreview, access: users, handle: a.preview},

		{method: get, path: wire.PathRecovery, access: users, handle: a.recovery},
		{method: post, path: wire.PathRecovery, access: users, handle: a.acceptRecovery},

		{method: get, path: wire.PathNodes, access: anyone, handle: a.nodes},
		{method: put, path: wire.PathNode, access: itself, handle: a.register},
		{method: post, path: wire.PathNodeRemoval, access: users, handle: a.removeNode},
		{method: get, path: wire.PathRemovedNodes, access: users, handle: a.removedNodes},
		{method: del, path: wire.PathRemovedNode, access: users, handle: a.readmitNode},
		{method: put, path: wire.PathNodeState, access: itself, handle: a.report},
		{method: post, path: wire.PathNodeHeartbeat, access: itself, handle: a.heartbeat},
		{method: get, path: wire.PathNodeAssignment, access: itself, handle: a.assignment, streams: true},
		{method: post, path: wire.PathNodeEvents, access: itself, handle: a.record},
		{method: get, path: wire.PathLogs, access: users, handle: a.logs},
		{method: post, path: wire.PathNodeLogs, access: itself, handle: a.answerLogs, streams: true},
		{method: get, path: wire.PathEvents, access: anyone, handle: a.events},

		{method: get, path: wire.PathMoves, access: anyone, handle: a.moves},
		{method: get, path: wire.PathMove, access: anyone, handle: a.move},
		{method: post, path: wire.PathMoves, access: plugins, handle: a.requestMove},
		{method: post, path: wire.PathMoveAbort, access: users, handle: a.abortMove},
		{method: post, path: wire.PathMoveReady, access: nodes, handle: a.ready},
		{method: post, path: wire.PathMoveProgress, access: nodes, handle: a.progress},
		{method: post, path: wire.PathMoveHold, access: nodes, handle: a.hold},
		{method: post, path: wire.PathMoveCommit, access: nodes, handle: a.commit},
		{method: post, path: wire.PathMoveFailed, access: nodes, handle: a.failed},

		{method: get, path: wire.PathVolumes, access: anyone, handle: a.volumes},
		{method: get, path: wire.PathVolumeChanges, access: anyone, handle: a.volumeChanges},
		{method: get, path: wire.PathVolume, access: anyone, handle: a.volume},
		{method: post, path: wire.PathVolumes, access: plugins, handle: a.createVolume},
		{method: del, path: wire.PathVolume, access: plugins, handle: a.deleteVolume},
		{method: post, path: wire.PathVolumeResize, access: users, handle: a.resizeVolume},
		{method: post, path: wire.PathVolumeUndelete, access: users, handle: a.undeleteVolume},
		{method: post, path: wire.PathVolumeTakeover, access: users, handle: a.takeOverVolume},
		{method: post, path: wire.PathVolumeRollback, access: users, handle: a.rollbackVolume},
		{method: del, path: wire.PathSnapshot, access: users, handle: a.dropSnapshot},
		{method: get, path: wire.PathSnapshots, access: anyone, handle: a.snapshots},
		{method: post, path: wire.PathSnapshots, access: users, handle: a.requestSnapshot},

		{method: get, path: wire.PathKeys, access: users, handle: a.keys},
		{method: put, path: wire.PathKey, access: users, handle: a.addKey},
		{method: del, path: wire.PathKey, access: users, handle: a.removeKey},

		{method: get, path: wire.PathRevocations, access: users, handle: a.revocations},
		{method: put, path: wire.PathRevocation, access: users, handle: a.revoke},
	}
}

func (a *api) flockerRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	routes := []route{
		{method: get, path: "/v1/version", handle: a.flockerVersion},
		{method: get, path: "/v1/configuration/datasets", handle: a.datasets},
		{method: post, path: "/v1/configuration/datasets", handle: a.createDataset},
		{method: post, path: "/v1/configuration/datasets/:dataset", handle: a.updateDataset},
		{method: del, path: "/v1/configuration/datasets/:dataset", handle: a.deleteDataset},
		{method: get, path: "/v1/configuration/containers", handle: a.containers},
		{method: post, path: "/v1/configuration/containers", handle: a.createContainer},
		{method: post, path: "/v1/configuration/containers/:name", handle: a.moveContainer},
		{method: del, path: "/v1/configuration/containers/:name", handle: a.deleteContainer},
		{method: get, path: "/v1/configuration/leases", handle: a.leases},
		{method: post, path: "/v1/configuration/leases", handle: a.acquireLease},
		{method: del, path: "/v1/configuration/leases/:dataset", handle: a.releaseLease},
		{method: post, path: "/v1/configuration/_compose", handle: a.compose},
		{method: get, path: "/v1/state/datasets", handle: a.datasetStates},
		{method: get, path: "/v1/state/containers", handle: a.containerStates},
		{method: get, path: "/v1/state/nodes", handle: a.nodeStates},
		{method: get, path: "/v1/state/nodes/by_era/:era", handle: a.nodeByEra},
	}
	for i := range routes {
		// On this port Flocker let users in and nobody else.
		routes[i].access, routes[i].flocker = users, true
	}
	return routes
}
