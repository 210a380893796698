package check

// All are the checks, in the order of the report within a severity.
var All = []*Check{
	machineID,
}
