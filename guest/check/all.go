package check

// All are the checks, in the order of the report within a severity.
var All = []*Check{
	// It will not start.
	noLoader,
	virtio,
	rootDevice,
	fstabDevice,
	fstabMissing,

	// Nobody gets in.
	cloudInit,
	cloudInitDisabled,
	staticNetwork,
	fixedMAC,

	// Clones get in each other's way.
	machineID,
	sshHostKeys,
	authorizedKeys,
	cloudInitState,

	// A secret is inside.
	privateKey,
	credentials,
	history,
	password,

	// It could be better.
	accounts,
}
