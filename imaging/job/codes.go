package job

// The codes, by the part of the way on which they appear.
const (
	CodeInternal Code = "E000"

	// Before a job
	CodeProtocol    Code = "E101"
	CodeToken       Code = "E102"
	CodeTokenBound  Code = "E103"
	CodeUnreachable Code = "E104"
	CodePin         Code = "E105"
	CodeNoLink      Code = "E106"
	CodeNoLease     Code = "E107"
	CodeStage2      Code = "E108"
	CodeNoDrive     Code = "E109"
	CodeNotApproved Code = "E110"

	// A job refused before the first write
	CodeJobSignature Code = "E201"
	CodeJobKey       Code = "E202"
	CodeJobExpired   Code = "E203"
	CodeJobKind      Code = "E204"
	CodeWrongDevice  Code = "E205"
	CodeWrongDrive   Code = "E206"
	CodeSmallDrive   Code = "E207"
	CodeSectorSize   Code = "E208"
	CodeRemovable    Code = "E209"
	CodeDriveBusy    Code = "E210"
	CodeManifest     Code = "E211"
	CodeLayout       Code = "E212"
	CodeUnknownOS    Code = "E213"
	CodeNoBootPath   Code = "E214"
	CodeFirmwareMode Code = "E215"
	CodeNotOurs      Code = "E230"
	CodeSuspended    Code = "E231"
	CodeLowMemory    Code = "E220"
	CodeDriveHealth  Code = "E221"
	CodeLowBattery   Code = "E222"
	CodeManyDrives   Code = "E223"
	CodeUntrusted    Code = "E224"
	CodeRevoked      Code = "E225"
	CodeArch         Code = "E226"

	// While writing and proving
	CodeChunk      Code = "E301"
	CodeStream     Code = "E302"
	CodeDriveWrite Code = "E303"
	CodeDriveRead  Code = "E304"
	CodeReadBack   Code = "E305"
	CodeFlush      Code = "E306"

	// After the content is proven
	CodePersonalise Code = "E401"
	CodeGrow        Code = "E402"
	CodeCommit      Code = "E403"
	CodeBootEntry   Code = "E404"

	// Ends that are nobody's fault
	CodeCancelled     Code = "E501"
	CodeIndeterminate Code = "E502"
	CodeLoop          Code = "E503"
	CodeLost          Code = "E504"

	// The operator's side: refused requests
	CodeNotFound     Code = "E601"
	CodeBadRequest   Code = "E602"
	CodeNameTaken    Code = "E603"
	CodeNameInvalid  Code = "E604"
	CodeState        Code = "E605"
	CodeBusy         Code = "E606"
	CodeImageInvalid Code = "E607"
	CodeStoreDamaged Code = "E608"
	CodeQuarantined  Code = "E609"
	CodePolicy       Code = "E610"
	CodeDaemon       Code = "E611"
	CodeFull         Code = "E612"
	CodeBundleBuild  Code = "E613"
	CodeBundle       Code = "E614"

	// Which laptop is this?
	CodeNoSerial    Code = "E620"
	CodeSticker     Code = "E621"
	CodeTaken       Code = "E622"
	CodeListRefused Code = "E623"
	CodeSettle      Code = "E624"

	// What a system answers, where nothing better is known
	CodeFile    Code = "E630"
	CodeNetwork Code = "E631"
	CodeStopped Code = "E632"

	// The server itself: destructive acts, setup
	CodeUnconfirmed Code = "E640"
	CodeSetup       Code = "E641"

	// Boot sticks and the care of the boot bundle
	CodeBenchClosed Code = "E650"
	CodeNoJob       Code = "E651"
	CodeStickOld    Code = "E652"
	CodeStickTarget Code = "E653"
	CodeStickData   Code = "E654"
	CodeBundleOlder Code = "E655"

	// The operator's side: what somebody else did, or what is no longer here
	CodeStale    Code = "E660"
	CodeReturned Code = "E661"

	// A reference machine's disk that must be put right first
	CodeAsleep    Code = "E671"
	CodeUnclean   Code = "E672"
	CodeEncrypted Code = "E673"

	// A capture over the network
	CodeUpload        Code = "E680"
	CodeLacking       Code = "E681"
	CodeSourceChanged Code = "E682"
	CodeListTooLong   Code = "E683"
	CodeNotCapturable Code = "E684"

	// Versions and what may be done with them
	CodeNotReleased  Code = "E690"
	CodeRed          Code = "E691"
	CodeNoNote       Code = "E692"
	CodeOutdated     Code = "E693"
	CodeBackup       Code = "E694"
	CodeWithdrawn    Code = "E695"
	CodeHeld         Code = "E696"
	CodeVersionState Code = "E697"

	// What is inside a version
	CodeNotLooked Code = "E700"
	CodeNoteFixed Code = "E701"

	// The image store keeps house
	CodeSweep  Code = "E710"
	CodeLocked Code = "E711"

	// Versions that travel between servers
	CodeImageBundle  Code = "E720"
	CodeBundleShort  Code = "E721"
	CodeUntrustedKey Code = "E722"
	CodeStatement    Code = "E723"
	CodePeerRefused  Code = "E724"
	CodePeerPin      Code = "E725"
	CodePeerAnswer   Code = "E726"
	CodePeerSilent   Code = "E727"

	// Reports, receipts, labels
	CodeLicence Code = "E745"
	CodeReceipt Code = "E746"
	CodeLabel   Code = "E747"
	CodePrinter Code = "E748"
	// The pages
	CodeSearch  Code = "E740"
	CodeTyped   Code = "E741"
	CodeScanned Code = "E742"
	CodeCrowd   Code = "E743"
	CodeNobody  Code = "E744"
	// The server's own backup, and the command line from afar
	CodePassphrase  Code = "E760"
	CodeBackupFile  Code = "E761"
	CodeNotEmpty    Code = "E762"
	CodeOnServer    Code = "E763"
	CodeCertificate Code = "E764"
	// Signing in at the pages
	CodeSignIn       Code = "E730"
	CodeLockedOut    Code = "E731"
	CodeManySignIns  Code = "E732"
	CodeSignedOut    Code = "E733"
	CodeLink         Code = "E734"
	CodePassword     Code = "E735"
	CodeIdentity     Code = "E736"
	CodeProvider     Code = "E737"
	CodeCrossSite    Code = "E738"
	CodeSecondPerson Code = "E739"
	// Telling asset registers and webhooks
	CodePushSilent   Code = "E750"
	CodePushRefused  Code = "E751"
	CodePushSaid     Code = "E752"
	CodePushUnkept   Code = "E753"
	CodePushAbsent   Code = "E754"
	CodePushConflict Code = "E755"
	CodePushBusy     Code = "E756"
	CodePushAddress  Code = "E757"
	CodePushGone     Code = "E758"
	CodePushAnswer   Code = "E759"
)

// words is the one table of DESIGN.md section 7.
var words = map[Code]Words{
	CodeInternal: {"Ingot met an error of its own.", "Try it again, or start the laptop again; if it returns, send the daemon's log with this code."},

	CodeProtocol:    {"This laptop started an agent of another version than the server's.", "Start it again; if it stays, run \"ingot firmware build\" on the server."},
	CodeToken:       {"This start is too old or was not made by this server.", "Start the laptop again."},
	CodeTokenBound:  {"Another laptop already used this start.", "Start the laptop again."},
	CodeUnreachable: {"The server does not answer.", "Check the cable and that the server is running."},
	CodePin:         {"The machine that answered is not the server that started this laptop.", "Stop. Look for a second server on this network."},
	CodeNoLink:      {"No network cable with a signal was found.", "Plug in the cable or another network adapter."},
	CodeNoLease:     {"The network gave this laptop no address.", "Check the DHCP server and the switch port."},
	CodeStage2:      {"A part of the start system did not arrive whole.", "Start the laptop again; if it stays, run \"ingot firmware verify\" on the server."},
	CodeNoDrive:     {"No internal drive was found.", "Set the drive controller to AHCI/NVMe in the firmware setup (not RAID), or check that a drive is fitted."},
	CodeNotApproved: {"Nobody approved this laptop in time.", "Start it again and approve the code that it shows."},

	CodeJobSignature: {"The order is not signed by the server.", "Stop. Look for a second server on this network."},
	CodeJobKey:       {"The order was made for another laptop.", "Start the laptop again."},
	CodeJobExpired:   {"The order is too old.", "Give the order again."},
	CodeJobKind:      {"This agent cannot carry out that kind of order.", "Update the server and build the boot bundle again."},
	CodeWrongDevice:  {"The order names another laptop than this one.", "Check which laptop this is, then give the order again."},
	CodeWrongDrive:   {"The drive in this laptop is not the one that was approved.", "Nothing was written. Adopt the laptop again with its present drive."},
	CodeSmallDrive:   {"The drive is smaller than the image needs.", "Nothing was written. Use a larger drive or another image."},
	CodeSectorSize:   {"The drive's sector size differs from the image's.", "Nothing was written. Use an image made on such a drive."},
	CodeRemovable:    {"The drive is removable and never a target.", "Nothing was written. Choose an internal drive."},
	CodeDriveBusy:    {"The drive is in use by another program.", "Start the laptop again."},
	CodeManifest:     {"The image's list of contents is damaged or not signed by the server.", "Run \"ingot image check\" on the server."},
	CodeLayout:       {"The image's partitions cannot be fitted to this drive.", "Nothing was written. Use a drive of the image's size, or import the image again with --grow-partition NUMBER or none."},
	CodeUnknownOS:    {"The image's system cannot be given a name yet.", "Deploy with --no-personalise to reserve the name without writing it."},
	CodeNoBootPath:   {"The image has no boot loader that this laptop's firmware can start.", "Use an image with the fallback loader on its EFI partition."},
	CodeNotOurs:      {"The system on this drive is not the one that Ingot put there.", "Nothing was written and the name stays. Image the laptop again to give it another one."},
	CodeSuspended:    {"The system on this drive is asleep, not switched off.", "Nothing was written. Start the laptop's own system, shut it down, then start it from the network again."},
	CodeFirmwareMode: {"The image cannot start in this laptop's firmware mode.", "Switch the firmware between UEFI and legacy, or use another image."},
	CodeLowMemory:    {"The laptop has less memory than this job needs.", "Nothing was written. Fit more memory, or use another image."},
	CodeDriveHealth:  {"The drive reports that it is failing.", "Nothing was written. Replace the drive; to use it all the same, order again with --despite-health."},
	CodeLowBattery:   {"The battery is too low to begin.", "Plug in the charger. It goes on by itself; nothing was written yet."},
	CodeManyDrives:   {"The laptop has several internal drives, and nobody said which one is meant.", "Nothing was written. Order again with --drive SERIAL, or by a role that has a drive rule."},
	CodeUntrusted:    {"Secure Boot on this laptop does not trust the image's boot loader.", "Nothing was written. Update the laptop's firmware, which brings newer keys, or use an image whose loader is signed under a key that it has."},
	CodeRevoked:      {"Secure Boot on this laptop has revoked the image's boot loader.", "Nothing was written. Update the boot loader on the reference machine and import it again."},
	CodeArch:         {"The image is made for another kind of processor than this laptop's firmware.", "Nothing was written. Use an image for this architecture."},

	CodeChunk:      {"A piece of the image on the server is damaged.", "Run \"ingot image check --read-data\" on the server, then image again. A laptop that had begun is not usable until then."},
	CodeStream:     {"The image stopped arriving before its end.", "The laptop is not usable. Check the network and the server, then image again."},
	CodeDriveWrite: {"The drive refused to take data.", "The laptop is not usable. Replace the drive."},
	CodeDriveRead:  {"The drive could not be read.", "The laptop is not usable. Replace the drive."},
	CodeReadBack:   {"The drive gave back other data than was written.", "The laptop is not usable. Replace the drive."},
	CodeFlush:      {"The drive could not confirm that data is safe.", "The laptop is not usable. Image again; if it returns, replace the drive."},

	CodePersonalise: {"The laptop's name could not be written.", "The laptop is not usable. Image again; if it returns, check the image."},
	CodeGrow:        {"The system partition could not be grown to the drive's size.", "The laptop is not usable. Image again; if it returns, check the image's file system."},
	CodeCommit:      {"The partition table could not be written and proven.", "The laptop is not usable. Image again; if it returns, replace the drive."},
	CodeBootEntry:   {"The firmware did not take the boot entry.", "Choose the drive in the firmware's boot menu."},

	CodeCancelled:     {"An operator stopped this job.", "The laptop is not usable if writing had begun: image again."},
	CodeIndeterminate: {"It is not known whether the job finished.", "Unproven: start it again."},
	CodeLoop:          {"This laptop started three times without getting further.", "It was switched off. Look at its last message, then start it again."},
	CodeLost:          {"The laptop stopped answering.", "Look at its screen; start it again to go on where it stopped."},

	CodeNotFound:     {"There is no such thing.", "Check the name; list what there is."},
	CodeBadRequest:   {"That was not understood.", "See --help."},
	CodeNameTaken:    {"That name belongs to another device.", "Choose another name."},
	CodeNameInvalid:  {"That is not a valid device name.", "Use 1 to 15 letters, digits and hyphens, not only digits, no hyphen at the ends."},
	CodeState:        {"It is not in a state that allows this.", "See \"ingot device show\", for a version of an image \"ingot image show\"."},
	CodeBusy:         {"Somebody else is already doing this.", "See \"ingot job list\"."},
	CodeImageInvalid: {"The disk cannot become an image.", "Read the reason, mend the reference machine, then capture it, or make the file, again."},
	CodeStoreDamaged: {"The image store is damaged.", "Run \"ingot image check --read-data\"."},
	CodeQuarantined:  {"Two laptops claim the same identity.", "Settle which laptop this is before going on."},
	CodePolicy:       {"The rules of this site do not allow that.", "Ask whoever set them."},
	CodeDaemon:       {"The daemon cannot do that now.", "Read the reason and try again."},
	CodeFull:         {"The disk of the server is full.", "Make room; nothing that was stored is lost."},
	CodeBundleBuild:  {"The boot bundle could not be built; what was served before is still served.", "Read the reason, then run \"ingot firmware build\" again."},
	CodeBundle:       {"The boot bundle is missing or damaged.", "Run \"ingot firmware build\"."},

	CodeNoSerial:    {"The firmware of this laptop tells no serial that only it has.", "Scan its sticker: ingot device adopt CODE --sticker SERIAL."},
	CodeSticker:     {"The sticker belongs to another laptop than this one.", "Check which laptop this is. If a part was replaced: ingot device settle CODE --as moved --with DEVICE."},
	CodeTaken:       {"That belongs to another device.", "See \"ingot device show\"; correct the wrong one with \"ingot device set\"."},
	CodeListRefused: {"The list was refused; nothing of it was imported.", "Mend the lines that are named and import it again."},
	CodeSettle:      {"That does not settle which laptop this is.", "See \"ingot device show\": say --as same, two or moved, and --with the other record."},

	CodeFile:    {"A file or folder cannot be used.", "Read the reason; often a name is mistyped or sudo is missing."},
	CodeNetwork: {"Another program or computer could not be reached.", "Read the reason, check that it runs and that the network leads there, then try again."},
	CodeStopped: {"It was stopped before its end.", "Start it again; what was done before stays as it was."},

	CodeUnconfirmed: {"This destroys data, and nobody has confirmed it.", "Run it at a terminal and type the serial, or give --yes and the serial; for a laptop in use also --data-saved. To keep a copy first: \"ingot capture DEVICE --backup\"."},
	CodeSetup:       {"The setup could not be finished.", "Read the reason, then run \"sudo ingot setup\" again; what was there is kept."},

	CodeBenchClosed: {"The bench is closed.", "Run \"ingot bench open 4h\" on the server, then start the laptop again."},
	CodeNoJob:       {"The server has nothing to do for this laptop.", "It starts its own system. Give an order first, or take the stick out."},
	CodeStickOld:    {"This stick was made by another version of the server.", "Write it again: \"ingot firmware usb\"."},
	CodeStickTarget: {"That cannot become a boot stick; nothing was written.", "Name a removable stick that is not in use, with its serial: \"lsblk -o NAME,RM,SIZE,SERIAL,MOUNTPOINTS\" lists them."},
	CodeStickData:   {"The stick could not be written and proven.", "Use another stick."},
	CodeBundleOlder: {"The packages are older than those of the boot bundle in use.", "To go back on purpose, run \"ingot firmware build\"."},

	CodeStale:    {"It has changed since you looked.", "Look at it again, then decide."},
	CodeReturned: {"The device was returned, and what its owner had on it is still there.", "Wipe it first: \"ingot wipe DEVICE\". To give it an image in the same go: \"ingot wipe DEVICE --then-image NAME\"."},

	CodeAsleep:    {"The disk holds a system that is asleep, not shut down.", "Start the reference machine. Windows: run \"powercfg /h off\", then \"shutdown /s /t 0\", as administrator. Linux: power it off. Then capture it, or make the file, again."},
	CodeUnclean:   {"A file system on the disk was not closed cleanly or is damaged.", "Start the reference machine. Windows: run \"chkdsk /f\" on that drive and restart, then \"shutdown /s /t 0\". Then capture it, or make the file, again."},
	CodeEncrypted: {"A part of the disk is encrypted: every laptop would share one key.", "Turn BitLocker off (\"manage-bde -off C:\") and wait until the drive is decrypted, or make a Linux reference machine without encryption. Then capture it, or make the file, again."},

	CodeUpload:        {"What the laptop sent of its drive cannot be taken into the library.", "Start the laptop again: what arrived whole is not sent twice. If it stays, test the laptop's memory."},
	CodeLacking:       {"The library lacks a part of what was captured.", "Start the laptop again: only what is missing is sent. If it stays, run \"ingot image check --read-data\"."},
	CodeSourceChanged: {"The reference machine's drive changed while it was read; nothing was made of it.", "Capture it again. If it returns, the drive is failing: replace it."},
	CodeListTooLong:   {"This laptop has too little memory to list what lies on its drive.", "Put the drive into a laptop with more memory, or import a file of it: \"ingot image import\"."},
	CodeNotCapturable: {"That cannot be captured.", "Read the reason, then order it again: \"ingot capture --help\"."},

	CodeNotReleased:  {"This image has no current version, or the one named is a draft.", "Look at it with \"ingot image show\" and release it with \"ingot image release\", or name a released one with \"ingot image rollback --to\"; to try a draft on one laptop, name it and add --trial."},
	CodeRed:          {"The version is not fit for release: what was found inside would be on every laptop.", "Put it right on the reference machine and make the version anew; or release it with --override and the reason."},
	CodeNoNote:       {"A version is released only with a change note.", "Write one with \"ingot image note\", or give --note when it is made."},
	CodeOutdated:     {"The version is older than this image may be.", "Make a new version; or give --stale-reason, which goes on record."},
	CodeBackup:       {"A backup goes back only onto the laptop that it was made of.", "Name that laptop, or another version."},
	CodeWithdrawn:    {"This version may not be deployed any more.", "Name another version; \"ingot image history\" shows which are released."},
	CodeHeld:         {"The version is still needed.", "Wait, or re-image the devices that carry it (\"ingot image devices\"); to give up its content all the same, add --force and --reason."},
	CodeVersionState: {"The version or image is not in a state that allows this.", "Look at it with \"ingot image history\" and decide again."},

	CodeNotLooked: {"Nobody has looked into this version yet.", "Run \"ingot image look NAME@NUMBER\"."},
	CodeNoteFixed: {"The note of a version that was released stays as it is.", "Make a new version, or keep the note."},

	CodeSweep:  {"Nothing was removed: it cannot be told what is still needed.", "Run \"ingot image check\": heal what it names, or withdraw that version; then run \"ingot gc\" again."},
	CodeLocked: {"A piece of this image was found damaged and is locked away.", "Import its disk again, or capture it: that heals it (an image of an older Ingot only by import). \"ingot image check\" names every version that is hit."},

	CodeImageBundle:  {"The bundle is damaged, or the file is no bundle; nothing was imported.", "Copy it again, or export it again on the server that it comes from: \"ingot image export NAME@N --bundle FILE\"."},
	CodeBundleShort:  {"The bundle ends too early; nothing was imported.", "A part of the file is missing: copy it again and compare the sizes."},
	CodeUntrustedKey: {"The image is signed by a key that this server does not trust.", "Compare the fingerprint with \"ingot image keys\" on the server that it comes from; if they are equal, repeat with --trust FINGERPRINT."},
	CodeStatement:    {"What was signed about the image does not hold.", "Do not use it. Run \"ingot image check\" on the server that it comes from."},
	CodePeerRefused:  {"The other Ingot server does not let this one in.", "Run \"ingot peer allow NAME\" there and \"ingot peer add\" here with what it prints."},
	CodePeerPin:      {"The server at that address is not the one that gave the token.", "Stop. Check the address, and look for a second server on the way."},
	CodePeerAnswer:   {"The other Ingot server sent something that cannot be used; nothing of it was kept.", "Compare the versions of both servers and run \"ingot image check --read-data\" there, then try again."},
	CodePeerSilent:   {"The other Ingot server does not answer.", "Check its address, that it runs, and that the network leads to its port 8443; then give the order again: it goes on where it stopped."},

	CodeLicence:      {"That cannot be kept among the licences.", "Read the reason and enter it again; \"ingot licence list\" and \"ingot licence rules\" show what there is."},
	CodeReceipt:      {"The receipt does not hold.", "Ask for it again where it comes from; if that one does not hold either, keep both and have the records of the server looked at."},
	CodeLabel:        {"That cannot stand on a label.", "Read the reason and set the labels again."},
	CodePrinter:      {"The label printer does not take the labels.", "Check that it is on, has labels and is reached on the network; or download them as a file, or print them as a sheet."},
	CodeSearch:       {"That search is not understood.", "Change it; the list of words is beside the box."},
	CodeTyped:        {"What was typed is not what was asked for. Nothing was done.", "Read once more what is lost, then type exactly what the page asks for."},
	CodeScanned:      {"No laptop is known by what was scanned.", "Check the label. A new laptop is known once it has started from the network, or when a list named it (Bench, \"supplier's list\")."},
	CodeCrowd:        {"Too many pages are open on this server.", "Close those that nobody looks at, then load this one again."},
	CodeNobody:       {"No laptop was chosen.", "Tick the laptops in the list, then choose again what to do."},
	CodePassphrase:   {"The passphrase does not open this backup; nothing was restored.", "Give the passphrase with which it was made. If it is the right one, the file is damaged: copy it again."},
	CodeBackupFile:   {"The backup cannot be restored; nothing was.", "Copy it again and compare the sizes, or take another backup."},
	CodeNotEmpty:     {"The data folder is not empty; nothing was restored.", "Name an empty folder with --data, or move what is there away."},
	CodeOnServer:     {"That works on the server itself only.", "Run it there, without --server."},
	CodeCertificate:  {"The certificate of the server at that address is not known here.", "Compare the fingerprint with the one that the server's log shows; if they are equal, set INGOT_FINGERPRINT to it."},
	CodeSignIn:       {"Name or password is not right.", "Try again; after ten wrong passwords in a row the name is locked for 15 minutes."},
	CodeLockedOut:    {"There were too many wrong passwords: the name is locked.", "Wait, or let an administrator open it: \"ingot operator set NAME --unlock\"."},
	CodeManySignIns:  {"Too many try to sign in at this moment.", "Wait half a minute, then try again."},
	CodeSignedOut:    {"You are not signed in, or not any more.", "Sign in. A program shows a token: \"ingot token add --help\"."},
	CodeLink:         {"This link was used already, or its time is over.", "Get a new one on the server: \"sudo ingot operator recover\"."},
	CodePassword:     {"That password is too easy to guess.", "Use at least 12 characters that nobody would think of; four words that do not belong together will do."},
	CodeIdentity:     {"The sign-in service knows you, but this Ingot does not let you in.", "Ask an administrator which groups may sign in, and whether your name belongs to somebody else here."},
	CodeProvider:     {"The sign-in service did not answer as it should.", "Try again, or sign in with a name and a password of Ingot's own."},
	CodeCrossSite:    {"That was sent by another web site.", "Open Ingot's own page and do it there."},
	CodeSecondPerson: {"A second person has to agree to this.", "Let another technician look at it and agree under a name of his own."},
	CodePushSilent:   {"The asset register or webhook receiver does not answer.", "Nothing is lost: it is tried again by itself. If it stays, check its address and the network, then run \"ingot push test NAME\"."},
	CodePushRefused:  {"The asset register or webhook receiver does not let Ingot in.", "Make a new token there and set it with \"ingot push register\"; at a webhook compare the secret."},
	CodePushSaid:     {"The asset register refused what Ingot wrote.", "Put right what it names, there or in the choices of \"ingot push register\", then run \"ingot push retry NAME\"."},
	CodePushUnkept:   {"The asset register said that it saved something, and did not.", "Look at that asset there: the field may not belong to its model, be encrypted, or be locked. Then run \"ingot push retry NAME\"."},
	CodePushAbsent:   {"The asset register does not know this device.", "Enter it there with this serial, or let Ingot do it: \"ingot push register --create\". Then run \"ingot push retry NAME\"."},
	CodePushConflict: {"The asset register and Ingot do not agree on which one is meant.", "Put it right where it is wrong, then run \"ingot push retry NAME\"."},
	CodePushBusy:     {"The asset register or webhook receiver asks Ingot to wait.", "Nothing is to be done: it is tried again when it said."},
	CodePushAddress:  {"Ingot does not send to this address.", "Use an https address of another machine; what lies on this server itself is named in ingot.toml (push.allow)."},
	CodePushGone:     {"The receiver of this webhook wants no more messages.", "Remove it: \"ingot push remove NAME\". If that was a mistake there, \"ingot push retry NAME\" goes on where it stopped."},
	CodePushAnswer:   {"What answers at this address is no asset register and no webhook receiver.", "Check the address and the token, then run \"ingot push test NAME\"."},
}
