package portal

// Logging devices in.
const (
	txtDevice        = "Log a device in"
	txtDeviceLead    = "Type in the code that the program shows you."
	txtDeviceCode    = "Code"
	txtDeviceTitle   = "Let this device in?"
	txtDeviceAsk     = "A program asks to work with the registry as you, %s. Let it in only if you have just started it yourself and it shows the same code."
	txtDeviceWho     = "What asks"
	txtDeviceHost    = "Registry"
	txtDeviceMachine = "Machine, as it calls itself"
	txtDeviceProgram = "Program, as it calls itself"
	txtDeviceRights  = "It wants"
	txtDeviceAll     = "everything that you may"
	txtDeviceSince   = "Asked"
	txtDeviceWarn    = "If somebody sent you this link or the code, refuse: they would get your access."
	txtDeviceApprove = "Let it in"
	txtDeviceRefuse  = "Refuse"

	txtDeviceApproved = "Done. The device is logged in; you can close this page."
	txtDeviceRefused  = "Refused. The device gets nothing."
	txtDeviceToken    = "%s, %s"
	txtUnknownClient  = "not known"

	txtCodeUnknownTitle = "There is no such code"
	txtCodeUnknown      = "The code is wrong, was used already or is too old. Start the login on the device again."
	txtCodesManyTitle   = "Too many wrong codes"
	txtCodesMany        = "Wait ten minutes, then start the login on the device again."

	txtDeviceMany    = "Too many logins are waiting. Try again in a minute."
	txtDeviceOver    = "The code is not good any more. Start again."
	txtDeviceWaiting = "Nobody has let the device in yet."
	txtDeviceDenied  = "The login was refused in the browser."

	txtLogins         = "Docker logins"
	txtLoginsNote     = "What docker and other clients keep instead of your password."
	txtLoginsCaption  = "Clients that are logged in as you"
	txtLoginClient    = "Client"
	txtLoginSince     = "Logged in"
	txtLoginOnly      = "only for %s"
	txtUserLogins     = "Clients that are logged in as the user"
	txtNoLogins       = "No client is logged in as you."
	txtLoginEnd       = "Log out"
	txtLoginEndLabel  = "Log out %s at %s"
	txtLoginEndAll    = "Log out all of them"
	txtLoginEndAsk    = "The client has to log in again."
	txtLoginEndAllAsk = "All of these clients have to log in again."
)
