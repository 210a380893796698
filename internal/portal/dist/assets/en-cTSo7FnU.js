var e={"access-cloud-init-datasource":{title:`cloud-init looks for its data at other clouds only.`,consequence:`It finds nothing on an OpenStack cloud: no keys, no name, no network.`,mend:{"":`Add the sources of OpenStack to the list.
    echo 'datasource_list: [ConfigDrive, OpenStack, NoCloud, None]' | sudo tee /etc/cloud/cloud.cfg.d/99-datasource.cfg`}},"access-cloud-init-disabled":{title:`cloud-init is installed, but switched off.`,consequence:`It does not run at boot: a new machine keeps the name, the keys and the network of the old one.`,mend:{"":`Remove what disables it: the file that is named, a mask, or cloud-init=disabled among the kernel's parameters.
    sudo rm -f /etc/cloud/cloud-init.disabled
    sudo systemctl unmask cloud-init cloud-init-local cloud-config cloud-final`,enable:`Enable its services.
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`}},"access-cloud-init-modules":{title:`cloud-init lacks the modules {modules}.`,consequence:`Without them no SSH host keys are made or no user gets a key, and nobody can log in.`,mend:{"":`Put them back into the lists cloud_init_modules of /etc/cloud/cloud.cfg.
    sudoedit /etc/cloud/cloud.cfg`}},"access-cloud-init":{title:`cloud-init is not installed.`,consequence:`Nothing puts SSH keys, the name and the network into a new machine. It can be reached only with the password inside the image, if at all.`,mend:{"":`Install it and see that it is set up.
    sudo apt-get update
    sudo apt-get install cloud-init
    cloud-init status`,rhel:`Install it from the distribution and enable it.
    sudo yum install cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`,suse:`Install it by zypper and enable it.
    sudo zypper install cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`,alpine:`Install it by apk and run its set-up.
    apk add cloud-init
    setup-cloud-init`,arch:`Install it by pacman and enable it.
    sudo pacman -S cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`}},"access-fixed-mac":{title:`The network is tied to the MAC address of the old network card.`,consequence:`A new machine has a new card. Its interface gets another name or none of this configuration, and there is no network.`,mend:{"":`Delete the MAC address from the file that is named.`,udev:`Delete the rule files; names that hold both net and persistent are the usual ones.
    sudo rm -f /etc/udev/rules.d/*net*persistent* /etc/udev/rules.d/*persistent*net*`,ifupdown:`Delete the lines that begin with hwaddress.
    sudo sed -i '/hwaddress/d' /etc/network/interfaces`,netplan:`Delete match: macaddress and set-name of each interface; cloud-init writes the file anew.
    sudo rm -f /etc/netplan/50-cloud-init.yaml`,networkd:`Match interfaces by name instead of MACAddress.
    sudoedit /etc/systemd/network/*.network`,networkmanager:`Take the address off the connection.
    sudo nmcli connection modify NAME 802-3-ethernet.mac-address '' 802-3-ethernet.cloned-mac-address ''`,ifcfg:`Delete HWADDR, MACADDR and UUID from each ifcfg file.
    sudo sed -i '/^HWADDR=/d;/^MACADDR=/d;/^UUID=/d' /etc/sysconfig/network-scripts/ifcfg-e*`,wicked:`Delete LLADDR from each ifcfg file.
    sudo sed -i '/^LLADDR=/d' /etc/sysconfig/network/ifcfg-e*`}},"access-static-network":{title:`An interface has a fixed address instead of DHCP.`,consequence:`Every machine from this image takes the same address, in a network that may not have it: nobody can reach it. Interfaces that are added later need DHCP too, or an administrator has to set each up inside the guest.`,mend:{"":`Set every interface to DHCP in the file that is named.`,ifupdown:`Replace static by dhcp for each interface in /etc/network/interfaces, and delete the lines address, netmask and gateway. It then reads:
    auto eth0
    iface eth0 inet dhcp
    auto eth1
    iface eth1 inet dhcp`,netplan:`Delete addresses, gateway4 and routes of each interface and write dhcp4: true.
    sudoedit /etc/netplan/*.yaml
    sudo netplan apply`,networkd:`Delete Address and Gateway from the section Network and write DHCP=yes.
    sudoedit /etc/systemd/network/*.network`,networkmanager:`Set the connection to automatic and take its addresses away.
    nmcli connection show
    sudo nmcli connection modify NAME ipv4.method auto ipv4.addresses '' ipv4.gateway '' ipv4.routes '' ipv4.dns ''`,ifcfg:`Write BOOTPROTO=dhcp in each ifcfg file and delete IPADDR, PREFIX, NETMASK, GATEWAY and DNS.
    sudoedit /etc/sysconfig/network-scripts/ifcfg-eth0`,wicked:`Write BOOTPROTO='dhcp' in each ifcfg file of SUSE and delete IPADDR; routes stand in ifroute files.
    sudoedit /etc/sysconfig/network/ifcfg-eth0`,windows:`Start → Control Panel → Network and Internet → Network and Sharing Center → Change adapter settings → Properties → Networking → Internet Protocol Version 4 (TCP/IPv4) → Properties → General: obtain an IP address automatically. Or type as administrator:
    netsh interface ipv4 set address name="Ethernet" source=dhcp
    netsh interface ipv4 set dnsservers name="Ethernet" source=dhcp`}},"access-windows-cloudbase":{title:`Cloudbase-Init is not installed.`,consequence:`Nothing sets the password, name and network of a new Windows machine; only the old password opens it.`,mend:{"":`Download Cloudbase-Init from cloudbase.it and install it: user Administrator, local group Administrators, use metadata password ticked, serial port COM1, run the service as LocalSystem. Leave the last two boxes of the installer unticked if you go on working in this machine.`}},"advice-accounts":{title:`{count} accounts besides root and the default one can log in.`,consequence:`They, their files and their rights are in every clone, whoever owns it.`,mend:{"":`Keep root and one general account, such as cloud-user; delete the others with their homes.
    sudo userdel --remove {name}`}},"advice-acpi-hotplug":{title:`Volumes cannot be attached while this old system runs.`,consequence:`Its kernel loads the module acpiphp only if it is told to; newer systems have it built in.`,mend:{"":`Add the module to the list.
    echo acpiphp | sudo tee -a /etc/modules`,rhel:`Have the module loaded at the start.
    echo 'modprobe acpiphp' | sudo tee /etc/sysconfig/modules/acpiphp.modules
    sudo chmod +x /etc/sysconfig/modules/acpiphp.modules`}},"advice-acpi":{title:`Nothing listens to the power button.`,consequence:`The cloud cannot shut the machine down or start it anew cleanly; it cuts the power after a while.`,mend:{"":`Install the ACPI daemon.
    sudo apt-get install acpid`,rhel:`Install the ACPI daemon and have it started.
    sudo yum install acpid
    sudo chkconfig acpid on`,suse:`Install the ACPI daemon by zypper and have it started.
    sudo zypper install acpid
    sudo chkconfig acpid on`,alpine:`Add the ACPI daemon to the default runlevel.
    apk add acpid
    rc-update add acpid default`,arch:`Install the ACPI daemon by pacman.
    sudo pacman -S acpid`}},"advice-boot-commands":{title:`cloud-init runs commands of the image at each start.`,consequence:`This may be wanted; whoever uses the image should know what they do.`,mend:{"":`Look at the commands, and delete the file in /etc/cloud/cloud.cfg.d if they are left over.
    ls /etc/cloud/cloud.cfg.d`}},"advice-cloudbase-settings":{title:`Settings of Cloudbase-Init differ from what is recommended.`,consequence:`A new machine may get another user, keep the old password, or leave the console log empty.`,mend:{"":`Set these lines in cloudbase-init.conf, unless the site wants others.
    username=Administrator
    groups=Administrators
    inject_user_password=true
    logging_serial_port_settings=COM1,115200,N,8`}},"advice-crontab":{title:`Somebody's timetable of commands is in the image.`,consequence:`Every clone runs it at the same time, such as a backup under one name.`,mend:{"":`Delete the timetables that do not belong to the image.
    sudo rm -f {file}`}},"advice-foreign-tools":{title:`Tools of another hypervisor are installed.`,consequence:`They look for a host that is not there: errors in the log, slower starts, and sometimes a wrong clock or network.`,mend:{"":`Remove the packages that are named.
    sudo apt-get purge {name}`,rhel:`Remove the packages that are named, by yum or dnf.
    sudo yum remove {name}`,suse:`Remove the packages that are named, by zypper.
    sudo zypper remove {name}`,alpine:`Remove the packages that are named, by apk.
    apk del {name}`,arch:`Remove the packages that are named, by pacman.
    sudo pacman -Rns {name}`,windows:`Settings → Apps, or Control Panel → Programs and Features: uninstall what is named, then start anew.`}},"advice-hardware-tools":{title:`Drivers or tools for physical hardware are installed.`,consequence:`A virtual machine has no such hardware: they take room and time, and report faults that are none.`,mend:{"":`Remove what is named; firmware and microcode belong to the host.
    sudo apt-get purge {name}`,rhel:`Remove what is named by yum or dnf; firmware and microcode belong to the host.
    sudo yum remove {name}`,suse:`Remove what is named by zypper; firmware and microcode belong to the host.
    sudo zypper remove {name}`,alpine:`Remove what is named by apk; firmware belongs to the host.
    apk del {name}`,arch:`Remove what is named by pacman; firmware belongs to the host.
    sudo pacman -Rns {name}`,windows:`Uninstall it in Programs and Features; old devices stand in the Device Manager under View → Show hidden devices.`}},"advice-hostname":{title:`The name of the old machine is kept.`,consequence:`Clones bear it until cloud-init gives them a name; without cloud-init they all keep it.`,mend:{"":`Set a general name.
    echo localhost | sudo tee /etc/hostname`}},"advice-initrd-ide":{title:`The kernel cannot start from an IDE or SATA disk.`,consequence:`With virtio it starts; where a cloud gives an emulated disk, for a first start or a repair, it finds none.`,mend:{"":`Add the drivers to the list of initramfs-tools and make the initrd anew.
    printf '%s\\n' ata_piix ahci | sudo tee -a /etc/initramfs-tools/modules
    sudo update-initramfs -u -k all`,rhel:`Have dracut add the IDE and SATA drivers.
    echo 'add_drivers+=" ata_piix ahci "' | sudo tee /etc/dracut.conf.d/ide.conf
    sudo dracut --force --regenerate-all`,suse:`Have dracut of SUSE add the IDE and SATA drivers.
    echo 'force_drivers+=" ata_piix ahci "' | sudo tee /etc/dracut.conf.d/ide.conf
    sudo dracut --force --regenerate-all`,alpine:`Add ata to the features of mkinitfs and make the initrd anew.
    sed -i 's/features="/features="ata /' /etc/mkinitfs/mkinitfs.conf
    mkinitfs`,arch:`Add the IDE and SATA drivers to MODULES of mkinitcpio.
    sudo sed -i 's/^MODULES=(/MODULES=(ata_piix ahci /' /etc/mkinitcpio.conf
    sudo mkinitcpio -P`}},"advice-needless-data":{title:`{size} of logs, caches and temporary files are in the image.`,consequence:`Every clone carries them along; logs also tell names and addresses of where the machine was before.`,mend:{"":`Clean up as a last step.
    sudo apt-get clean
    sudo journalctl --rotate --vacuum-time=1s
    sudo find /var/log /tmp /var/tmp -type f -delete`,rhel:`Clean up yum's cache and the logs as a last step.
    sudo yum clean all
    sudo find /var/log /tmp /var/tmp -type f -delete`,suse:`Clean up zypper's cache and the logs as a last step.
    sudo zypper clean --all
    sudo find /var/log /tmp /var/tmp -type f -delete`,alpine:`Clean up apk's cache and the logs as a last step.
    rm -rf /var/cache/apk/*
    find /var/log /tmp /var/tmp -type f -delete`,arch:`Clean up pacman's cache and the logs as a last step.
    sudo pacman -Scc
    sudo find /var/log /tmp /var/tmp -type f -delete`,windows:`Run the disk clean-up, with the system files.
    cleanmgr /sageset:1 & cleanmgr /sagerun:1`}},"advice-root-partition":{title:`The root file system is not on the first partition, and cloud-init is missing.`,consequence:`Clouds that write SSH keys into the image expect the root on the first partition; without cloud-init nobody can log in then but with the root password.`,mend:{"":`Install cloud-init: then the order of partitions does not matter. This advice is from times without it.`}},"advice-serial-console":{title:`The kernel does not write to the serial console.`,consequence:`The console log in the portal stays empty, just when a start fails.`,mend:{"":`Add the parameters to GRUB's settings.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo update-grub`,rhel:`Add the parameters to all kernels by grubby.
    sudo grubby --update-kernel=ALL --args='console=tty0 console=ttyS0,115200'`,suse:`Add the parameters and write GRUB's menu anew.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo grub2-mkconfig -o /boot/grub2/grub.cfg`,alpine:`Add the parameters to the menu of extlinux.
    sed -i 's/^default_kernel_opts="/&console=tty0 console=ttyS0,115200 /' /etc/update-extlinux.conf
    update-extlinux`,arch:`Add the parameters and make GRUB's menu anew.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo grub-mkconfig -o /boot/grub/grub.cfg`}},"advice-unclean":{title:`A file system was in use when the image was made.`,consequence:`A clone repairs it at its first start; what programs had not written yet is missing.`,mend:{"":`Shut the machine down before its image is made.
    sudo shutdown -h now`,windows:`Switch hibernation off, then shut the machine down wholly.
    powercfg /hibernate off
    shutdown /s /t 0`}},"advice-windows-ide":{title:`Windows does not load the IDE driver at the start.`,consequence:`The machine cannot be started with an emulated disk, which helps when virtio fails.`,mend:{"":`Let the drivers start at boot.
    sc config intelide start= boot
    sc config atapi start= boot`}},"advice-windows-input":{title:`Keyboard or mouse have filter drivers that are not Windows' own.`,consequence:`If such a driver is gone or fails, nobody can type or point in the console of the machine.`,mend:{"":`Set the values back to what Windows has.
    reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E96B-E325-11CE-BFC1-08002BE10318} /v UpperFilters /t REG_MULTI_SZ /d kbdclass /f
    reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E96F-E325-11CE-BFC1-08002BE10318} /v UpperFilters /t REG_MULTI_SZ /d mouclass /f`}},"advice-xorg":{title:`The display is set to the driver of the old graphics card.`,consequence:`The graphical login does not start on another card; the rest of the system does.`,mend:{"":`Delete the file, or the line with Driver: the right one is found at the start.
    sudo rm {file}`}},"boot-encrypted":{title:`A part of the disk is encrypted.`,consequence:`A machine in a cloud has nobody who types the key at the start, and what is encrypted cannot be looked at here.`,mend:{"":`Copy the system to a disk without encryption; the service encrypts every image that it keeps.`,windows:`Switch BitLocker off and wait until the disk is decrypted; the service encrypts what it keeps.
    manage-bde -off C:
    manage-bde -status`}},"boot-fstab-device":{title:`The table of file systems names devices that are called otherwise on KVM.`,consequence:`The same disk is /dev/vda there. The start waits for a device that does not come, and ends in an emergency shell.`,mend:{"":`Look up the UUID of each file system and write UUID=… in place of the device.
    lsblk -f
    sudoedit /etc/fstab`}},"boot-fstab-missing":{title:`The image waits at boot for a disk that is not part of it.`,consequence:`Only the boot disk becomes the image. A machine made from it waits in vain for the data disk, and does not come up.`,mend:{"":`Unmount the data disks, take their lines out of the file or add nofail to the options, then make the image.
    mount
    sudo umount /mnt/data
    sudoedit /etc/fstab`}},"boot-no-loader":{title:`There is a system, but no boot loader.`,consequence:`Neither BIOS nor UEFI firmware finds anything to start: the machine stays at "no bootable device".`,mend:{"":`Install GRUB on the whole disk, not on a partition, and copy the whole disk into the image.
    sudo grub-install /dev/sda
    sudo update-grub`,windows:`Start the Windows installation disc, choose repair and the command prompt, and write the boot records anew.
    bootrec /fixmbr
    bootrec /fixboot
    bcdboot C:\\Windows`}},"boot-root-device":{title:`The boot menu names the root file system by a device name.`,consequence:`On KVM the disk has another name, the kernel finds no root, and the start ends there.`,mend:{"":`Let GRUB write the menu again with UUIDs: GRUB_DISABLE_LINUX_UUID must not be set.
    sudo sed -i '/GRUB_DISABLE_LINUX_UUID/d' /etc/default/grub
    sudo update-grub`,rhel:`Give the kernels the UUID of the root and write the menu again.
    sudo grubby --update-kernel=ALL --args=root=UUID=$(findmnt -no UUID /)
    sudo grub2-mkconfig -o /boot/grub2/grub.cfg`,grub:`Write root=UUID=… in each kernel line of the menu of GRUB 0.97.
    sudo blkid
    sudoedit /boot/grub/menu.lst`,syslinux:`Write root=UUID=… in each APPEND line of the menu of SYSLINUX.
    sudo blkid
    sudoedit /boot/extlinux.conf`}},"boot-virtio":{title:`A kernel cannot drive the virtual hardware of KVM.`,consequence:`The drivers named are neither in the kernel nor in its initrd. It starts and then finds no disk, or comes up without a network.`,mend:{"":`Put the drivers into the initrd of every kernel.
    printf '%s\\n' virtio_pci virtio_blk virtio_scsi virtio_net | sudo tee -a /etc/initramfs-tools/modules
    sudo update-initramfs -u -k all`,rhel:`Let dracut put the drivers into the initrd of every kernel.
    echo 'add_drivers+=" virtio_pci virtio_blk virtio_scsi virtio_net "' | sudo tee /etc/dracut.conf.d/virtio.conf
    sudo dracut --force --regenerate-all`,suse:`Let dracut of SUSE put the drivers into every initrd.
    echo 'force_drivers+=" virtio_pci virtio_blk virtio_scsi virtio_net "' | sudo tee /etc/dracut.conf.d/virtio.conf
    sudo dracut --force --regenerate-all`,alpine:`Add virtio to the features of mkinitfs.
    sed -i 's/features="/features="virtio /' /etc/mkinitfs/mkinitfs.conf
    mkinitfs`,arch:`Add the drivers to MODULES of mkinitcpio.
    sudo sed -i 's/^MODULES=(/MODULES=(virtio_pci virtio_blk virtio_scsi virtio_net /' /etc/mkinitcpio.conf
    sudo mkinitcpio -P`,old:`Linux has virtio from version 2.6.27 on: install a newer kernel of the distribution, or start the machine with an IDE disk.`}},"boot-windows-virtio":{title:`Windows has no virtio driver for its disk.`,consequence:`On KVM it stops at the start with "inaccessible boot device"; without the network driver it has no network.`,mend:{"":`Install the virtio drivers from the disc virtio-win before you make the image, and start once with a virtio disk attached so that viostor is started at boot.
    D:\\virtio-win-guest-tools.exe`}},"clone-authorized-keys":{title:`SSH keys that may log in are left in the image.`,consequence:`The owners of these keys can log in to every machine that anybody makes from this image.`,mend:{"":`Delete the file of each account; cloud-init writes the keys of whoever starts the machine.
    sudo rm -f {file}`}},"clone-cloud-init-state":{title:`cloud-init remembers an earlier machine.`,consequence:`Depending on its version it takes a clone for the old machine and leaves out new host keys, users or the network.`,mend:{"":`Clean it as the last step; --configs also removes the network files that it wrote, from version 23.3 on.
    sudo cloud-init clean --logs
    sudo rm -rf /var/lib/cloud/*`}},"clone-dhcp-leases":{title:`Leases of addresses from the old network are kept.`,consequence:`A clone asks for the old machine's address first; two of them get in each other's way, or wait.`,mend:{"":`Delete the files while no client runs.
    sudo rm -f /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease`}},"clone-iscsi":{title:`The image has iSCSI attachments or an initiator's name.`,consequence:`Clones log in to the same storage under one name and may destroy what is on it.`,mend:{"":`Log out of all targets, delete them, and let each clone make its own name.
    sudo iscsiadm -m node --logoutall=all
    sudo iscsiadm -m node -o delete
    echo GenerateName=yes | sudo tee /etc/iscsi/initiatorname.iscsi`}},"clone-machine-id":{title:`The machine-id is already set.`,consequence:`Every machine made from this image has the same machine-id. They ask for the same DHCP address, and their logs cannot be told apart.`,mend:{"":`Empty the file; systemd writes a new one at the next start. Do it last, because shutting down may write it again.
    sudo truncate -s 0 /etc/machine-id
    sudo rm -f /var/lib/dbus/machine-id
    sudo ln -s /etc/machine-id /var/lib/dbus/machine-id`,dbus:`Remove the files; D-Bus writes a new one at the next start.
    sudo rm -f /etc/machine-id /var/lib/dbus/machine-id`}},"clone-random-seed":{title:`A seed for random numbers is kept in the image.`,consequence:`All clones begin with the same seed; where the hardware gives none, they may make the same keys.`,mend:{"":`Delete it as one of the last steps; a new one is written at shutdown of each clone.
    sudo rm -f /var/lib/systemd/random-seed`}},"clone-ssh-host-keys":{title:`{count} private SSH host keys are in the image.`,consequence:`Every machine from this image shows the same identity, and whoever can read the image can pose as any of them.`,mend:{"":`Delete the keys before the image is made; cloud-init makes new ones at the first start.
    sudo rm -f /etc/ssh/ssh_host_*`}},"clone-subscription":{title:`The system is registered with its vendor.`,consequence:`Clones share one registration: they push each other out, and one subscription is used for many machines.`,mend:{"":`Detach the machine from Ubuntu Pro.
    sudo pro detach`,rhel:`Unregister it and remove its identity.
    sudo subscription-manager unregister
    sudo subscription-manager clean`,suse:`Deregister it at the SUSE Customer Center.
    sudo SUSEConnect --de-register
    sudo SUSEConnect --cleanup`}},"clone-windows-sysprep":{title:`Windows was not generalised by sysprep.`,consequence:`All clones have one security identifier and one name: domains and licences take them for the same computer.`,mend:{"":`Run sysprep as the last step before the machine is shut down.
    C:\\Windows\\System32\\Sysprep\\sysprep.exe /generalize /oobe /shutdown`}},"secret-credentials":{title:`A program's password or token is inside the image.`,consequence:`Whoever gets the image can act in the name of its owner at the service that the file is for.`,mend:{"":`Delete the file and revoke what is in it.
    sudo shred -u {file}`}},"secret-history":{title:`Somebody's typed commands are inside the image.`,consequence:`They tell names of machines and often passwords; lines that look like one are listed.`,mend:{"":`Delete the files as the last step, and change the passwords that stood in them.
    sudo rm -f {file}
    history -c`}},"secret-password":{title:`An account has a password that is inside the image.`,consequence:`Every clone opens to this password, and whoever can read the image can try to guess it at leisure.`,mend:{"":`Lock the password; people log in by their SSH keys.
    sudo passwd --lock {name}`,empty:`Lock the account at once: its password is empty, so that anybody can log in.
    sudo passwd --lock {name}`}},"secret-private-key":{title:`A private key is inside the image.`,consequence:`Whoever gets the image, or a machine made from it, can use the key wherever it is accepted.`,mend:{"":`Delete the key, and exchange it for a new one wherever it was used: copies of the image may exist.
    sudo shred -u {file}`}}};export{e as default};