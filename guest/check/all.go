package check

// All are the checks, in the order of the report within a severity.
var All = []*Check{
	// It will not start.
	noLoader,
	encrypted,
	virtio,
	windowsVirtio,
	rootDevice,
	fstabDevice,
	fstabMissing,

	// Nobody gets in.
	cloudInit,
	cloudInitDisabled,
	cloudInitDatasource,
	cloudInitModules,
	windowsCloudbase,
	staticNetwork,
	fixedMAC,

	// Clones get in each other's way.
	machineID,
	sshHostKeys,
	authorizedKeys,
	cloudInitState,
	dhcpLeases,
	randomSeed,
	iscsi,
	subscription,
	windowsSysprep,

	// A secret is inside.
	privateKey,
	credentials,
	history,
	password,

	// It could be better.
	accounts,
	foreignTools,
	hardwareTools,
	needlessData,
	unclean,
	hostname,
	crontab,
	bootCommands,
	acpi,
	acpiHotplug,
	serialConsole,
	initrdIDE,
	rootPartition,
	xorg,
	cloudbaseSettings,
	windowsIDE,
	windowsInput,
}
