package inspect

import "strings"

// trace is something that a reference machine leaves behind: where one of these places holds something, it is found.
// A * stands for any letters of one part of a path.
type trace struct {
	check    string
	severity Severity
	what     string // the beginning of the sentence
	places   []string
	next     string
}

// homes are the folders of people.
var homes = []string{"/root", "/home/*"}

// inHomes puts each name below each home.
func inHomes(names ...string) (out []string) {
	for _, h := range homes {
		for _, n := range names {
			out = append(out, h+"/"+n)
		}
	}
	return out
}

const (
	removeThem = "Remove them on the reference machine."
	dropAgent  = "Follow the maker's steps for golden images: stop the agent and remove its identity, so that each laptop enrols by itself."
)

// linuxTraces are the places of a Linux that must not go onto a second laptop.
var linuxTraces = []trace{
	{"linux-keytabs", Red, "Keys of a domain membership", []string{"/etc/krb5.keytab", "/var/lib/samba/private/secrets.tdb", "/var/lib/sss/keytabs/*", "/var/lib/sss/secrets/*", "/var/lib/sss/db/cache_*.ldb", "/var/lib/sss/db/ccache_*"},
		"Leave the domain on the reference machine (\"realm leave\") and remove what stays."},
	{"linux-machine-secrets", Red, "Keys of this one machine", []string{"/var/lib/systemd/credential.secret", "/etc/wireguard/*.conf", "/etc/ipsec.d/private/*", "/etc/openvpn/client/*.key", "/etc/ssl/private/*.key", "/etc/luks/*", "/etc/cryptsetup-keys.d/*"},
		"Remove them on the reference machine; give each laptop its own."},
	{"linux-subscription", Red, "A subscription that belongs to this one machine", []string{"/etc/pki/consumer/cert.pem", "/var/lib/ubuntu-advantage/private/machine-token.json", "/etc/zypp/credentials.d/SCCcredentials"},
		"Detach it on the reference machine (subscription-manager unregister, pro detach, SUSEConnect -d)."},
	{"linux-random-seed", Yellow, "A seed of the random generator", []string{"/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed"}, removeThem},
	{"linux-dhcp-leases", Yellow, "Addresses and identities given by a DHCP server", []string{"/var/lib/dhcp/*.leases", "/var/lib/dhcpcd/*.lease", "/var/lib/dhcpcd/duid", "/etc/dhcpcd.duid", "/var/lib/NetworkManager/*.lease", "/var/lib/NetworkManager/secret_key", "/var/lib/dhclient/*.leases"}, removeThem},
	{"linux-storage-names", Yellow, "A name by which storage servers know this machine", []string{"/etc/nvme/hostid", "/etc/nvme/hostnqn"}, "Remove them on the reference machine; nvme-cli makes new ones."},
	{"linux-histories", Yellow, "Histories of commands", inHomes(".*_history", ".local/share/fish/fish_history", ".lesshst", ".viminfo"), removeThem},
	{"linux-authorized-keys", Yellow, "Keys with which somebody may log in", inHomes(".ssh/authorized_keys", ".ssh/authorized_keys2"), "Keep only what every laptop is to accept."},
	{"linux-private-keys", Red, "Private keys of persons", inHomes(".ssh/id_*", ".gnupg/private-keys-v1.d/*.key"), "Remove them on the reference machine: whoever holds a laptop would hold them."},
	{"linux-credentials", Red, "Credentials of persons", inHomes(".aws/credentials", ".docker/config.json", ".netrc", ".git-credentials", ".kube/config", ".config/gcloud/credentials.db", ".azure/msal_token_cache.json", ".config/intune/registration.toml", ".smbcredentials"),
		"Remove them on the reference machine: whoever holds a laptop would hold them."},
	{"linux-homes", Yellow, "Folders of persons", []string{"/home/*"}, "Remove accounts that were only needed to build the reference machine."},
	{"linux-core-dumps", Yellow, "Memory of programs that crashed", []string{"/var/lib/systemd/coredump/*", "/var/crash/*"}, removeThem},
}

// agents are programs that enrol at a server by an identity that they keep. Two laptops with the same one count as
// one, take orders of each other, or lock each other out.
var agents = []struct {
	name   string
	places []string
}{
	{"Salt minion", []string{"/etc/salt/minion_id", "/etc/salt/pki/minion/minion.pem"}},
	{"Puppet", []string{"/etc/puppetlabs/puppet/ssl/private_keys/*", "/var/lib/puppet/ssl/private_keys/*", "/etc/puppet/ssl/private_keys/*"}},
	{"Chef", []string{"/etc/chef/client.pem", "/etc/cinc/client.pem"}},
	{"osquery", []string{"/var/osquery/osquery.db/CURRENT"}},
	{"Fleet", []string{"/opt/orbit/secret-orbit-node-key.txt", "/opt/orbit/identifier"}},
	{"Wazuh or OSSEC", []string{"/var/ossec/etc/client.keys"}},
	{"CrowdStrike Falcon", []string{"/opt/CrowdStrike/falconstore"}},
	{"Elastic Agent", []string{"/opt/Elastic/Agent/fleet.enc", "/etc/elastic-agent/fleet.enc"}},
	{"Elastic Beats", []string{"/var/lib/filebeat/meta.json", "/var/lib/metricbeat/meta.json", "/var/lib/auditbeat/meta.json", "/var/lib/packetbeat/meta.json"}},
	{"Qualys", []string{"/etc/qualys/hostid"}},
	{"Nessus agent", []string{"/etc/tenable_tag"}},
	{"Landscape", []string{"/var/lib/landscape/client/broker.bpickle"}},
	{"Tailscale", []string{"/var/lib/tailscale/tailscaled.state"}},
	{"ZeroTier", []string{"/var/lib/zerotier-one/identity.secret"}},
	{"NetBird", []string{"/etc/netbird/config.json", "/var/lib/netbird/default.json"}},
	{"GLPI agent", []string{"/var/lib/glpi-agent/*.dump", "/var/lib/fusioninventory-agent/*.dump"}},
	{"Microsoft Intune", []string{"/var/lib/microsoft-identity-device-broker/*.db", "/var/lib/intune/*"}},
	{"Zabbix agent (a key of its own)", []string{"/etc/zabbix/*.psk"}},
	{"AnyDesk", []string{"/etc/anydesk/service.conf", "/etc/anydesk/system.conf"}},
	{"TeamViewer", []string{"/etc/teamviewer/global.conf", "/opt/teamviewer/config/global.conf"}},
	{"MeshCentral agent", []string{"/usr/local/mesh_services/meshagent/meshagent.db", "/opt/meshagent/meshagent.db"}},
}

// silent are agents whose identity lies in no file that we know for sure: that they are there is told.
var silent = []struct {
	name   string
	places []string
}{
	{"SentinelOne", []string{"/opt/sentinelone/bin/sentinelctl"}},
	{"Tanium", []string{"/opt/Tanium/TaniumClient/TaniumClient"}},
	{"Microsoft Defender", []string{"/etc/opt/microsoft/mdatp/mdatp_onboard.json"}},
	{"Rapid7 Insight Agent", []string{"/opt/rapid7/ir_agent/ir_agent"}},
	{"Absolute", []string{"/opt/absolute/*"}},
}

// traces goes through the tables.
func (l *look) traces() {
	for _, tr := range linuxTraces {
		l.trace(tr)
	}
	l.agents()
}

func (l *look) trace(tr trace) {
	var found []string
	for _, p := range tr.places {
		for _, f := range l.tree.match(p) {
			if !strings.HasSuffix(f, ".pub") && !strings.HasSuffix(f, "ssl-cert-snakeoil.key") && f != "/home/lost+found" {
				found = append(found, f)
			}
		}
	}
	switch {
	case len(found) == 0:
		l.find(tr.check, Green, tr.what+": none.", "")
	case tr.check == "linux-random-seed" && l.renewed:
		l.find(tr.check, Green, tr.what+" is there ("+found[0]+"); Ingot removes it at every deploy.", "")
	default:
		l.find(tr.check, tr.severity, tr.what+" are in the image: "+join(cleaned(found), len(found))+".", tr.next)
	}
}

func (l *look) agents() {
	clean := true
	for _, a := range agents {
		var found []string
		for _, p := range a.places {
			found = append(found, l.tree.match(p)...)
		}
		if len(found) > 0 {
			clean = false
			l.find("linux-agents", Red, a.name+" is enrolled as this one machine: "+join(cleaned(found), len(found))+".", dropAgent)
		}
	}
	for _, a := range silent {
		for _, p := range a.places {
			if len(l.tree.match(p)) > 0 {
				clean = false
				l.find("linux-agents", Yellow, a.name+" is installed; whether it is enrolled cannot be seen from its files.", dropAgent)
				break
			}
		}
	}
	if clean {
		l.find("linux-agents", Green, "No agent that enrols at a server was found.", "")
	}
}
