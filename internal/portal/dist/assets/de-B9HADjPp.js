var e={"access-cloud-init-datasource":{title:`cloud-init sucht seine Daten nur bei anderen Clouds.`,consequence:`In einer OpenStack-Cloud findet es nichts: keine Schlüssel, keinen Namen, kein Netz.`,mend:{"":`Ergänzen Sie in der Liste die Quellen von OpenStack.
    echo 'datasource_list: [ConfigDrive, OpenStack, NoCloud, None]' | sudo tee /etc/cloud/cloud.cfg.d/99-datasource.cfg`}},"access-cloud-init-disabled":{title:`cloud-init ist installiert, aber abgeschaltet.`,consequence:`Es läuft beim Start nicht: eine neue Maschine behält Namen, Schlüssel und Netz der alten.`,mend:{"":`Entfernen Sie, was es abschaltet: die genannte Datei, ein mask oder cloud-init=disabled unter den Kernelparametern.
    sudo rm -f /etc/cloud/cloud-init.disabled
    sudo systemctl unmask cloud-init cloud-init-local cloud-config cloud-final`,enable:`Schalten Sie seine Dienste ein.
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`}},"access-cloud-init-modules":{title:`cloud-init fehlen die Module {modules}.`,consequence:`Ohne sie entstehen keine SSH-Hostschlüssel, oder kein Benutzer bekommt einen Schlüssel, und niemand kann sich anmelden.`,mend:{"":`Nehmen Sie sie wieder in die Liste cloud_init_modules von /etc/cloud/cloud.cfg auf.
    sudoedit /etc/cloud/cloud.cfg`}},"access-cloud-init":{title:`cloud-init ist nicht installiert.`,consequence:`Nichts bringt SSH-Schlüssel, Namen und Netz in eine neue Maschine. Man erreicht sie nur mit dem Passwort im Image, wenn überhaupt.`,mend:{"":`Installieren Sie es und sehen Sie nach, ob es eingerichtet ist.
    sudo apt-get update
    sudo apt-get install cloud-init
    cloud-init status`,rhel:`Installieren Sie es aus der Distribution und schalten Sie es ein.
    sudo yum install cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`,suse:`Installieren Sie es mit zypper und schalten Sie es ein.
    sudo zypper install cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`,alpine:`Installieren Sie es mit apk und rufen Sie seine Einrichtung auf.
    apk add cloud-init
    setup-cloud-init`,arch:`Installieren Sie es mit pacman und schalten Sie es ein.
    sudo pacman -S cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`}},"access-fixed-mac":{title:`Das Netz ist an die MAC-Adresse der alten Netzwerkkarte gebunden.`,consequence:`Eine neue Maschine hat eine neue Karte. Ihre Schnittstelle heißt dann anders oder bekommt nichts von dieser Konfiguration, und es gibt kein Netz.`,mend:{"":`Löschen Sie die MAC-Adresse aus der genannten Datei.`,udev:`Löschen Sie die Regeldateien; üblich sind Namen mit net und persistent darin.
    sudo rm -f /etc/udev/rules.d/*net*persistent* /etc/udev/rules.d/*persistent*net*`,ifupdown:`Löschen Sie die Zeilen, die mit hwaddress beginnen.
    sudo sed -i '/hwaddress/d' /etc/network/interfaces`,netplan:`Löschen Sie match: macaddress und set-name jeder Schnittstelle; cloud-init schreibt die Datei neu.
    sudo rm -f /etc/netplan/50-cloud-init.yaml`,networkd:`Wählen Sie Schnittstellen nach Namen statt nach MACAddress aus.
    sudoedit /etc/systemd/network/*.network`,networkmanager:`Nehmen Sie die Adresse aus der Verbindung.
    sudo nmcli connection modify NAME 802-3-ethernet.mac-address '' 802-3-ethernet.cloned-mac-address ''`,ifcfg:`Löschen Sie HWADDR, MACADDR und UUID aus jeder ifcfg-Datei.
    sudo sed -i '/^HWADDR=/d;/^MACADDR=/d;/^UUID=/d' /etc/sysconfig/network-scripts/ifcfg-e*`,wicked:`Löschen Sie LLADDR aus jeder ifcfg-Datei.
    sudo sed -i '/^LLADDR=/d' /etc/sysconfig/network/ifcfg-e*`}},"access-static-network":{title:`Eine Schnittstelle hat eine feste Adresse statt DHCP.`,consequence:`Jede Maschine aus diesem Image nimmt dieselbe Adresse, in einem Netz, das sie vielleicht gar nicht hat: niemand erreicht sie. Auch später hinzugefügte Schnittstellen brauchen DHCP, sonst muss ein Administrator jede im Gast einrichten.`,mend:{"":`Stellen Sie in der genannten Datei jede Schnittstelle auf DHCP.`,ifupdown:`Ersetzen Sie in /etc/network/interfaces bei jeder Schnittstelle static durch dhcp, und löschen Sie die Zeilen address, netmask und gateway. Dann steht dort:
    auto eth0
    iface eth0 inet dhcp
    auto eth1
    iface eth1 inet dhcp`,netplan:`Löschen Sie addresses, gateway4 und routes jeder Schnittstelle und schreiben Sie dhcp4: true.
    sudoedit /etc/netplan/*.yaml
    sudo netplan apply`,networkd:`Löschen Sie Address und Gateway aus dem Abschnitt Network und schreiben Sie DHCP=yes.
    sudoedit /etc/systemd/network/*.network`,networkmanager:`Stellen Sie die Verbindung auf automatisch und nehmen Sie die Adressen heraus.
    nmcli connection show
    sudo nmcli connection modify NAME ipv4.method auto ipv4.addresses '' ipv4.gateway '' ipv4.routes '' ipv4.dns ''`,ifcfg:`Schreiben Sie BOOTPROTO=dhcp in jede ifcfg-Datei und löschen Sie IPADDR, PREFIX, NETMASK, GATEWAY und DNS.
    sudoedit /etc/sysconfig/network-scripts/ifcfg-eth0`,wicked:`Schreiben Sie BOOTPROTO='dhcp' in jede ifcfg-Datei von SUSE und löschen Sie IPADDR; Routen stehen in den ifroute-Dateien.
    sudoedit /etc/sysconfig/network/ifcfg-eth0`,windows:`Start → Systemsteuerung → Netzwerk und Internet → Netzwerk- und Freigabecenter → Adaptereinstellungen ändern → Eigenschaften → Netzwerk → Internetprotokoll Version 4 (TCP/IPv4) → Eigenschaften → Allgemein: IP-Adresse automatisch beziehen. Oder geben Sie als Administrator ein:
    netsh interface ipv4 set address name="Ethernet" source=dhcp
    netsh interface ipv4 set dnsservers name="Ethernet" source=dhcp`}},"access-windows-cloudbase":{title:`Cloudbase-Init ist nicht installiert.`,consequence:`Nichts setzt Passwort, Namen und Netz einer neuen Windows-Maschine; nur das alte Passwort öffnet sie.`,mend:{"":`Laden Sie Cloudbase-Init von cloudbase.it und installieren Sie es: Benutzer Administrator, lokale Gruppe Administrators, Passwort aus Metadaten angehakt, serielle Schnittstelle COM1, Dienst als LocalSystem. Lassen Sie die letzten beiden Häkchen weg, wenn Sie in dieser Maschine weiterarbeiten.`}},"advice-accounts":{title:`{count} Konten neben root und dem üblichen können sich anmelden.`,consequence:`Sie, ihre Dateien und ihre Rechte stecken in jedem Klon, wem er auch gehört.`,mend:{"":`Behalten Sie root und ein allgemeines Konto wie cloud-user; löschen Sie die anderen samt ihren Verzeichnissen.
    sudo userdel --remove {name}`}},"advice-acpi-hotplug":{title:`An dieses alte System lassen sich im Betrieb keine Volumes anhängen.`,consequence:`Sein Kernel lädt das Modul acpiphp nur auf Anweisung; neuere Systeme haben es eingebaut.`,mend:{"":`Ergänzen Sie das Modul in der Liste.
    echo acpiphp | sudo tee -a /etc/modules`,rhel:`Lassen Sie das Modul beim Start laden.
    echo 'modprobe acpiphp' | sudo tee /etc/sysconfig/modules/acpiphp.modules
    sudo chmod +x /etc/sysconfig/modules/acpiphp.modules`}},"advice-acpi":{title:`Niemand hört auf den Ausschalter.`,consequence:`Die Cloud kann die Maschine nicht sauber herunterfahren oder neu starten; sie schaltet nach einer Weile den Strom ab.`,mend:{"":`Installieren Sie den ACPI-Dienst.
    sudo apt-get install acpid`,rhel:`Installieren Sie den ACPI-Dienst und lassen Sie ihn starten.
    sudo yum install acpid
    sudo chkconfig acpid on`,suse:`Installieren Sie den ACPI-Dienst mit zypper und lassen Sie ihn starten.
    sudo zypper install acpid
    sudo chkconfig acpid on`,alpine:`Nehmen Sie den ACPI-Dienst in den Standard-Runlevel auf.
    apk add acpid
    rc-update add acpid default`,arch:`Installieren Sie den ACPI-Dienst mit pacman.
    sudo pacman -S acpid`}},"advice-boot-commands":{title:`cloud-init führt bei jedem Start Befehle des Images aus.`,consequence:`Das kann gewollt sein; wer das Image benutzt, sollte wissen, was sie tun.`,mend:{"":`Sehen Sie sich die Befehle an, und löschen Sie die Datei in /etc/cloud/cloud.cfg.d, wenn es Reste sind.
    ls /etc/cloud/cloud.cfg.d`}},"advice-cloudbase-settings":{title:`Einstellungen von Cloudbase-Init weichen vom Empfohlenen ab.`,consequence:`Eine neue Maschine bekommt vielleicht einen anderen Benutzer, behält das alte Passwort oder lässt das Konsolenprotokoll leer.`,mend:{"":`Setzen Sie diese Zeilen in cloudbase-init.conf, sofern der Betreiber nichts anderes will.
    username=Administrator
    groups=Administrators
    inject_user_password=true
    logging_serial_port_settings=COM1,115200,N,8`}},"advice-crontab":{title:`Im Image liegt jemandes Zeitplan für Befehle.`,consequence:`Jeder Klon führt ihn zur selben Zeit aus, etwa eine Sicherung unter einem Namen.`,mend:{"":`Löschen Sie die Zeitpläne, die nicht zum Image gehören.
    sudo rm -f {file}`}},"advice-foreign-tools":{title:`Werkzeuge eines anderen Hypervisors sind installiert.`,consequence:`Sie suchen einen Host, den es nicht gibt: Fehler im Protokoll, langsamere Starts, manchmal falsche Uhr oder falsches Netz.`,mend:{"":`Entfernen Sie die genannten Pakete.
    sudo apt-get purge {name}`,rhel:`Entfernen Sie die genannten Pakete mit yum oder dnf.
    sudo yum remove {name}`,suse:`Entfernen Sie die genannten Pakete mit zypper.
    sudo zypper remove {name}`,alpine:`Entfernen Sie die genannten Pakete mit apk.
    apk del {name}`,arch:`Entfernen Sie die genannten Pakete mit pacman.
    sudo pacman -Rns {name}`,windows:`Einstellungen → Apps, oder Systemsteuerung → Programme und Features: deinstallieren Sie das Genannte, und starten Sie neu.`}},"advice-hardware-tools":{title:`Treiber oder Werkzeuge für echte Hardware sind installiert.`,consequence:`Eine virtuelle Maschine hat diese Hardware nicht: sie kosten Platz und Zeit und melden Fehler, die keine sind.`,mend:{"":`Entfernen Sie das Genannte; Firmware und Microcode sind Sache des Hosts.
    sudo apt-get purge {name}`,rhel:`Entfernen Sie das Genannte mit yum oder dnf; Firmware und Microcode sind Sache des Hosts.
    sudo yum remove {name}`,suse:`Entfernen Sie das Genannte mit zypper; Firmware und Microcode sind Sache des Hosts.
    sudo zypper remove {name}`,alpine:`Entfernen Sie das Genannte mit apk; Firmware ist Sache des Hosts.
    apk del {name}`,arch:`Entfernen Sie das Genannte mit pacman; Firmware ist Sache des Hosts.
    sudo pacman -Rns {name}`,windows:`Deinstallieren Sie es unter Programme und Features; alte Geräte stehen im Geräte-Manager unter Ansicht → Ausgeblendete Geräte anzeigen.`}},"advice-hostname":{title:`Der Name der alten Maschine ist noch da.`,consequence:`Klone tragen ihn, bis cloud-init ihnen einen Namen gibt; ohne cloud-init behalten ihn alle.`,mend:{"":`Setzen Sie einen allgemeinen Namen.
    echo localhost | sudo tee /etc/hostname`}},"advice-initrd-ide":{title:`Der Kernel kann nicht von einer IDE- oder SATA-Platte starten.`,consequence:`Mit virtio startet er; wo eine Cloud eine emulierte Platte gibt, für den ersten Start oder eine Reparatur, findet er keine.`,mend:{"":`Ergänzen Sie die Treiber in der Liste von initramfs-tools, und erzeugen Sie die initrd neu.
    printf '%s\\n' ata_piix ahci | sudo tee -a /etc/initramfs-tools/modules
    sudo update-initramfs -u -k all`,rhel:`Lassen Sie dracut die IDE- und SATA-Treiber aufnehmen.
    echo 'add_drivers+=" ata_piix ahci "' | sudo tee /etc/dracut.conf.d/ide.conf
    sudo dracut --force --regenerate-all`,suse:`Lassen Sie das dracut von SUSE die IDE- und SATA-Treiber aufnehmen.
    echo 'force_drivers+=" ata_piix ahci "' | sudo tee /etc/dracut.conf.d/ide.conf
    sudo dracut --force --regenerate-all`,alpine:`Ergänzen Sie ata bei den Merkmalen von mkinitfs, und erzeugen Sie die initrd neu.
    sed -i 's/features="/features="ata /' /etc/mkinitfs/mkinitfs.conf
    mkinitfs`,arch:`Ergänzen Sie die IDE- und SATA-Treiber in MODULES von mkinitcpio.
    sudo sed -i 's/^MODULES=(/MODULES=(ata_piix ahci /' /etc/mkinitcpio.conf
    sudo mkinitcpio -P`}},"advice-needless-data":{title:`{size} an Protokollen, Zwischenspeichern und temporären Dateien liegen im Image.`,consequence:`Jeder Klon schleppt sie mit; Protokolle verraten auch Namen und Adressen von vorher.`,mend:{"":`Räumen Sie als letzten Schritt auf.
    sudo apt-get clean
    sudo journalctl --rotate --vacuum-time=1s
    sudo find /var/log /tmp /var/tmp -type f -delete`,rhel:`Räumen Sie yums Zwischenspeicher und die Protokolle als letzten Schritt auf.
    sudo yum clean all
    sudo find /var/log /tmp /var/tmp -type f -delete`,suse:`Räumen Sie zyppers Zwischenspeicher und die Protokolle als letzten Schritt auf.
    sudo zypper clean --all
    sudo find /var/log /tmp /var/tmp -type f -delete`,alpine:`Räumen Sie apks Zwischenspeicher und die Protokolle als letzten Schritt auf.
    rm -rf /var/cache/apk/*
    find /var/log /tmp /var/tmp -type f -delete`,arch:`Räumen Sie pacmans Zwischenspeicher und die Protokolle als letzten Schritt auf.
    sudo pacman -Scc
    sudo find /var/log /tmp /var/tmp -type f -delete`,windows:`Führen Sie die Datenträgerbereinigung mit Systemdateien aus.
    cleanmgr /sageset:1 & cleanmgr /sagerun:1`}},"advice-root-partition":{title:`Das Wurzeldateisystem liegt nicht auf der ersten Partition, und cloud-init fehlt.`,consequence:`Clouds, die SSH-Schlüssel ins Image schreiben, erwarten die Wurzel auf der ersten Partition; ohne cloud-init hilft dann nur das root-Passwort.`,mend:{"":`Installieren Sie cloud-init: dann ist die Reihenfolge der Partitionen gleichgültig. Der Rat stammt aus der Zeit davor.`}},"advice-serial-console":{title:`Der Kernel schreibt nicht auf die serielle Konsole.`,consequence:`Das Konsolenprotokoll im Portal bleibt leer, gerade wenn ein Start scheitert.`,mend:{"":`Ergänzen Sie die Parameter in den Einstellungen von GRUB.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo update-grub`,rhel:`Ergänzen Sie die Parameter mit grubby bei allen Kerneln.
    sudo grubby --update-kernel=ALL --args='console=tty0 console=ttyS0,115200'`,suse:`Ergänzen Sie die Parameter, und schreiben Sie das Menü von GRUB neu.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo grub2-mkconfig -o /boot/grub2/grub.cfg`,alpine:`Ergänzen Sie die Parameter im Menü von extlinux.
    sed -i 's/^default_kernel_opts="/&console=tty0 console=ttyS0,115200 /' /etc/update-extlinux.conf
    update-extlinux`,arch:`Ergänzen Sie die Parameter, und erzeugen Sie das Menü von GRUB neu.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo grub-mkconfig -o /boot/grub/grub.cfg`}},"advice-unclean":{title:`Ein Dateisystem war in Gebrauch, als das Image entstand.`,consequence:`Ein Klon repariert es beim ersten Start; was Programme noch nicht geschrieben hatten, fehlt.`,mend:{"":`Fahren Sie die Maschine herunter, bevor das Image entsteht.
    sudo shutdown -h now`,windows:`Schalten Sie den Ruhezustand aus, und fahren Sie die Maschine ganz herunter.
    powercfg /hibernate off
    shutdown /s /t 0`}},"advice-windows-ide":{title:`Windows lädt beim Start den IDE-Treiber nicht.`,consequence:`Die Maschine lässt sich nicht mit emulierter Platte starten, was hilft, wenn virtio versagt.`,mend:{"":`Lassen Sie die Treiber beim Start laden.
    sc config intelide start= boot
    sc config atapi start= boot`}},"advice-windows-input":{title:`Tastatur oder Maus haben Filtertreiber, die nicht von Windows sind.`,consequence:`Fehlt ein solcher Treiber oder versagt er, kann in der Konsole der Maschine niemand tippen oder zeigen.`,mend:{"":`Setzen Sie die Werte auf die von Windows zurück.
    reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E96B-E325-11CE-BFC1-08002BE10318} /v UpperFilters /t REG_MULTI_SZ /d kbdclass /f
    reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E96F-E325-11CE-BFC1-08002BE10318} /v UpperFilters /t REG_MULTI_SZ /d mouclass /f`}},"advice-xorg":{title:`Die Anzeige ist auf den Treiber der alten Grafikkarte festgelegt.`,consequence:`Die grafische Anmeldung startet mit anderer Karte nicht; der Rest des Systems schon.`,mend:{"":`Löschen Sie die Datei oder die Zeile mit Driver: der richtige wird beim Start gefunden.
    sudo rm {file}`}},"boot-encrypted":{title:`Ein Teil der Platte ist verschlüsselt.`,consequence:`In einer Cloud tippt beim Start niemand den Schlüssel ein, und was verschlüsselt ist, lässt sich hier nicht ansehen.`,mend:{"":`Kopieren Sie das System auf eine unverschlüsselte Platte; der Dienst verschlüsselt jedes Image, das er aufbewahrt.`,windows:`Schalten Sie BitLocker aus und warten Sie, bis die Platte entschlüsselt ist; der Dienst verschlüsselt, was er aufbewahrt.
    manage-bde -off C:
    manage-bde -status`}},"boot-fstab-device":{title:`Die Tabelle der Dateisysteme nennt Geräte, die unter KVM anders heißen.`,consequence:`Dieselbe Platte heißt dort /dev/vda. Der Start wartet auf ein Gerät, das nicht kommt, und endet in einer Notfallkonsole.`,mend:{"":`Sehen Sie die UUID jedes Dateisystems nach und schreiben Sie UUID=… statt des Gerätes.
    lsblk -f
    sudoedit /etc/fstab`}},"boot-fstab-missing":{title:`Das Image wartet beim Start auf eine Platte, die nicht dazugehört.`,consequence:`Nur die Bootplatte wird zum Image. Eine Maschine daraus wartet vergeblich auf die Datenplatte und kommt nicht hoch.`,mend:{"":`Hängen Sie die Datenplatten aus, nehmen Sie ihre Zeilen aus der Datei oder ergänzen Sie die Option nofail, und machen Sie dann das Image.
    mount
    sudo umount /mnt/data
    sudoedit /etc/fstab`}},"boot-no-loader":{title:`Ein System ist da, aber kein Bootlader.`,consequence:`Weder BIOS noch UEFI finden etwas zu starten: die Maschine bleibt bei "no bootable device" stehen.`,mend:{"":`Installieren Sie GRUB auf der ganzen Platte, nicht auf einer Partition, und kopieren Sie die ganze Platte ins Image.
    sudo grub-install /dev/sda
    sudo update-grub`,windows:`Starten Sie die Windows-Installations-DVD, wählen Sie Reparatur und Eingabeaufforderung, und schreiben Sie die Bootsektoren neu.
    bootrec /fixmbr
    bootrec /fixboot
    bcdboot C:\\Windows`}},"boot-root-device":{title:`Das Bootmenü nennt das Wurzeldateisystem mit einem Gerätenamen.`,consequence:`Unter KVM heißt die Platte anders, der Kernel findet keine Wurzel, und der Start endet dort.`,mend:{"":`Lassen Sie GRUB das Menü mit UUIDs neu schreiben: GRUB_DISABLE_LINUX_UUID darf nicht gesetzt sein.
    sudo sed -i '/GRUB_DISABLE_LINUX_UUID/d' /etc/default/grub
    sudo update-grub`,rhel:`Geben Sie den Kerneln die UUID der Wurzel und schreiben Sie das Menü neu.
    sudo grubby --update-kernel=ALL --args=root=UUID=$(findmnt -no UUID /)
    sudo grub2-mkconfig -o /boot/grub2/grub.cfg`,grub:`Schreiben Sie root=UUID=… in jede kernel-Zeile des Menüs von GRUB 0.97.
    sudo blkid
    sudoedit /boot/grub/menu.lst`,syslinux:`Schreiben Sie root=UUID=… in jede APPEND-Zeile des Menüs von SYSLINUX.
    sudo blkid
    sudoedit /boot/extlinux.conf`}},"boot-virtio":{title:`Ein Kernel kann die virtuelle Hardware von KVM nicht ansteuern.`,consequence:`Die genannten Treiber sind weder im Kernel noch in seiner initrd. Er startet und findet dann keine Platte, oder kommt ohne Netz hoch.`,mend:{"":`Nehmen Sie die Treiber in die initrd jedes Kernels auf.
    printf '%s\\n' virtio_pci virtio_blk virtio_scsi virtio_net | sudo tee -a /etc/initramfs-tools/modules
    sudo update-initramfs -u -k all`,rhel:`Lassen Sie dracut die Treiber in die initrd jedes Kernels aufnehmen.
    echo 'add_drivers+=" virtio_pci virtio_blk virtio_scsi virtio_net "' | sudo tee /etc/dracut.conf.d/virtio.conf
    sudo dracut --force --regenerate-all`,suse:`Lassen Sie das dracut von SUSE die Treiber in jede initrd aufnehmen.
    echo 'force_drivers+=" virtio_pci virtio_blk virtio_scsi virtio_net "' | sudo tee /etc/dracut.conf.d/virtio.conf
    sudo dracut --force --regenerate-all`,alpine:`Ergänzen Sie virtio bei den Merkmalen von mkinitfs.
    sed -i 's/features="/features="virtio /' /etc/mkinitfs/mkinitfs.conf
    mkinitfs`,arch:`Ergänzen Sie die Treiber in MODULES von mkinitcpio.
    sudo sed -i 's/^MODULES=(/MODULES=(virtio_pci virtio_blk virtio_scsi virtio_net /' /etc/mkinitcpio.conf
    sudo mkinitcpio -P`,old:`Linux hat virtio ab Version 2.6.27: installieren Sie einen neueren Kernel der Distribution, oder starten Sie die Maschine mit IDE-Platte.`}},"boot-windows-virtio":{title:`Windows hat keinen virtio-Treiber für seine Platte.`,consequence:`Unter KVM bleibt es beim Start mit "inaccessible boot device" stehen; ohne den Netztreiber hat es kein Netz.`,mend:{"":`Installieren Sie die virtio-Treiber von der Disc virtio-win, bevor Sie das Image machen, und starten Sie einmal mit angehängter virtio-Platte, damit viostor beim Start geladen wird.
    D:\\virtio-win-guest-tools.exe`}},"clone-authorized-keys":{title:`Im Image sind SSH-Schlüssel hinterlegt, die sich anmelden dürfen.`,consequence:`Wer diese Schlüssel besitzt, kann sich an jeder Maschine anmelden, die irgendjemand aus diesem Image macht.`,mend:{"":`Löschen Sie die Datei jedes Kontos; cloud-init trägt die Schlüssel dessen ein, der die Maschine startet.
    sudo rm -f {file}`}},"clone-cloud-init-state":{title:`cloud-init erinnert sich an eine frühere Maschine.`,consequence:`Je nach Version hält es einen Klon für die alte Maschine und lässt neue Hostschlüssel, Benutzer oder das Netz weg.`,mend:{"":`Räumen Sie als letzten Schritt auf; ab Version 23.3 entfernt --configs auch die Netzdateien, die es geschrieben hat.
    sudo cloud-init clean --logs
    sudo rm -rf /var/lib/cloud/*`}},"clone-dhcp-leases":{title:`Adresszuteilungen aus dem alten Netz sind noch da.`,consequence:`Ein Klon verlangt zuerst die Adresse der alten Maschine; zwei stören einander oder warten.`,mend:{"":`Löschen Sie die Dateien, während kein Client läuft.
    sudo rm -f /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease`}},"clone-iscsi":{title:`Das Image enthält iSCSI-Verbindungen oder den Namen eines Initiators.`,consequence:`Klone melden sich unter einem Namen am selben Speicher an und können zerstören, was darauf liegt.`,mend:{"":`Melden Sie sich von allen Zielen ab, löschen Sie sie, und lassen Sie jeden Klon seinen Namen bilden.
    sudo iscsiadm -m node --logoutall=all
    sudo iscsiadm -m node -o delete
    echo GenerateName=yes | sudo tee /etc/iscsi/initiatorname.iscsi`}},"clone-machine-id":{title:`Die machine-id ist schon vergeben.`,consequence:`Jede Maschine aus diesem Image hat dieselbe machine-id. Alle verlangen dieselbe DHCP-Adresse, und ihre Protokolle lassen sich nicht unterscheiden.`,mend:{"":`Leeren Sie die Datei; systemd schreibt beim nächsten Start eine neue. Tun Sie das zuletzt, denn beim Herunterfahren kann sie wieder geschrieben werden.
    sudo truncate -s 0 /etc/machine-id
    sudo rm -f /var/lib/dbus/machine-id
    sudo ln -s /etc/machine-id /var/lib/dbus/machine-id`,dbus:`Löschen Sie die Dateien; D-Bus schreibt beim nächsten Start eine neue.
    sudo rm -f /etc/machine-id /var/lib/dbus/machine-id`}},"clone-random-seed":{title:`Im Image liegt ein Startwert für Zufallszahlen.`,consequence:`Alle Klone beginnen mit demselben Wert; wo die Hardware keinen liefert, können sie dieselben Schlüssel erzeugen.`,mend:{"":`Löschen Sie ihn als einen der letzten Schritte; jeder Klon schreibt beim Herunterfahren seinen eigenen.
    sudo rm -f /var/lib/systemd/random-seed`}},"clone-ssh-host-keys":{title:`{count} private SSH-Hostschlüssel liegen im Image.`,consequence:`Jede Maschine aus diesem Image zeigt dieselbe Identität, und wer das Image lesen kann, kann sich für jede von ihnen ausgeben.`,mend:{"":`Löschen Sie die Schlüssel, bevor das Image entsteht; cloud-init erzeugt beim ersten Start neue.
    sudo rm -f /etc/ssh/ssh_host_*`}},"clone-subscription":{title:`Das System ist bei seinem Hersteller registriert.`,consequence:`Klone teilen sich eine Registrierung: sie werfen einander hinaus, und ein Vertrag gilt für viele Maschinen.`,mend:{"":`Lösen Sie die Maschine von Ubuntu Pro.
    sudo pro detach`,rhel:`Melden Sie es ab und entfernen Sie seine Identität.
    sudo subscription-manager unregister
    sudo subscription-manager clean`,suse:`Melden Sie es beim SUSE Customer Center ab.
    sudo SUSEConnect --de-register
    sudo SUSEConnect --cleanup`}},"clone-windows-sysprep":{title:`Windows wurde nicht mit sysprep verallgemeinert.`,consequence:`Alle Klone haben eine Sicherheitskennung und einen Namen: Domänen und Lizenzen halten sie für denselben Rechner.`,mend:{"":`Führen Sie sysprep als letzten Schritt vor dem Herunterfahren aus.
    C:\\Windows\\System32\\Sysprep\\sysprep.exe /generalize /oobe /shutdown`}},"secret-credentials":{title:`Passwort oder Token eines Programms stecken im Image.`,consequence:`Wer das Image bekommt, kann bei dem Dienst, zu dem die Datei gehört, im Namen des Besitzers handeln.`,mend:{"":`Löschen Sie die Datei und widerrufen Sie, was darin steht.
    sudo shred -u {file}`}},"secret-history":{title:`Eingetippte Befehle einer Person stecken im Image.`,consequence:`Sie verraten Rechnernamen und oft Passwörter; Zeilen, die danach aussehen, sind aufgeführt.`,mend:{"":`Löschen Sie die Dateien als letzten Schritt, und ändern Sie die Passwörter, die darin standen.
    sudo rm -f {file}
    history -c`}},"secret-password":{title:`Ein Konto hat ein Passwort, das im Image steckt.`,consequence:`Jeder Klon öffnet sich mit diesem Passwort, und wer das Image lesen kann, kann es in Ruhe zu erraten versuchen.`,mend:{"":`Sperren Sie das Passwort; angemeldet wird mit SSH-Schlüsseln.
    sudo passwd --lock {name}`,empty:`Sperren Sie das Konto sofort: sein Passwort ist leer, jeder kann sich anmelden.
    sudo passwd --lock {name}`}},"secret-private-key":{title:`Im Image liegt ein privater Schlüssel.`,consequence:`Wer das Image oder eine Maschine daraus bekommt, kann den Schlüssel überall benutzen, wo er gilt.`,mend:{"":`Löschen Sie den Schlüssel, und ersetzen Sie ihn überall, wo er galt: es kann Kopien des Images geben.
    sudo shred -u {file}`}}};export{e as default};