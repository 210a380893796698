var e={"access-cloud-init-datasource":{title:`cloud-init etsii tietojaan vain muista pilvistä.`,consequence:`OpenStack-pilvessä se ei löydä mitään: ei avaimia, nimeä eikä verkkoa.`,mend:{"":`Lisää luetteloon OpenStackin lähteet.
    echo 'datasource_list: [ConfigDrive, OpenStack, NoCloud, None]' | sudo tee /etc/cloud/cloud.cfg.d/99-datasource.cfg`}},"access-cloud-init-disabled":{title:`cloud-init on asennettu mutta pois päältä.`,consequence:`Se ei käynnisty: uusi kone säilyttää vanhan nimen, avaimet ja verkon.`,mend:{"":`Poista se, mikä estää: mainittu tiedosto, mask tai ytimen parametri cloud-init=disabled.
    sudo rm -f /etc/cloud/cloud-init.disabled
    sudo systemctl unmask cloud-init cloud-init-local cloud-config cloud-final`,enable:`Ota sen palvelut käyttöön.
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`}},"access-cloud-init-modules":{title:`cloud-initistä puuttuvat moduulit {modules}.`,consequence:`Ilman niitä SSH-palvelinavaimia ei synny tai käyttäjä jää ilman avainta, eikä kukaan pääse sisään.`,mend:{"":`Palauta ne tiedoston /etc/cloud/cloud.cfg luetteloon cloud_init_modules.
    sudoedit /etc/cloud/cloud.cfg`}},"access-cloud-init":{title:`cloud-init ei ole asennettuna.`,consequence:`Mikään ei vie SSH-avaimia, nimeä eikä verkkoasetuksia uuteen koneeseen. Siihen pääsee vain levykuvan sisällä olevalla salasanalla, jos sillä.`,mend:{"":`Asenna se ja katso, että se on otettu käyttöön.
    sudo apt-get update
    sudo apt-get install cloud-init
    cloud-init status`,rhel:`Asenna se jakelusta ja ota se käyttöön.
    sudo yum install cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`,suse:`Asenna se zypperillä ja ota se käyttöön.
    sudo zypper install cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`,alpine:`Asenna se apk:lla ja aja sen käyttöönotto.
    apk add cloud-init
    setup-cloud-init`,arch:`Asenna se pacmanilla ja ota se käyttöön.
    sudo pacman -S cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`}},"access-fixed-mac":{title:`Verkko on sidottu vanhan verkkokortin MAC-osoitteeseen.`,consequence:`Uudella koneella on uusi kortti. Sen liitäntä saa toisen nimen tai jää ilman näitä asetuksia, eikä verkkoa ole.`,mend:{"":`Poista MAC-osoite mainitusta tiedostosta.`,udev:`Poista sääntötiedostot; tavallisimmissa nimissä on sekä net että persistent.
    sudo rm -f /etc/udev/rules.d/*net*persistent* /etc/udev/rules.d/*persistent*net*`,ifupdown:`Poista rivit, jotka alkavat sanalla hwaddress.
    sudo sed -i '/hwaddress/d' /etc/network/interfaces`,netplan:`Poista jokaisen liitännän match: macaddress ja set-name; cloud-init kirjoittaa tiedoston uudelleen.
    sudo rm -f /etc/netplan/50-cloud-init.yaml`,networkd:`Valitse liitännät nimen eikä MACAddress-arvon mukaan.
    sudoedit /etc/systemd/network/*.network`,networkmanager:`Poista osoite yhteydestä.
    sudo nmcli connection modify NAME 802-3-ethernet.mac-address '' 802-3-ethernet.cloned-mac-address ''`,ifcfg:`Poista HWADDR, MACADDR ja UUID jokaisesta ifcfg-tiedostosta.
    sudo sed -i '/^HWADDR=/d;/^MACADDR=/d;/^UUID=/d' /etc/sysconfig/network-scripts/ifcfg-e*`,wicked:`Poista LLADDR jokaisesta ifcfg-tiedostosta.
    sudo sed -i '/^LLADDR=/d' /etc/sysconfig/network/ifcfg-e*`}},"access-static-network":{title:`Liitännällä on kiinteä osoite DHCP:n sijaan.`,consequence:`Kaikki tämän levykuvan koneet ottavat saman osoitteen verkossa, jossa sitä ei ehkä ole: kukaan ei tavoita niitä. Myös myöhemmin lisätyt liitännät tarvitsevat DHCP:n, tai ylläpitäjän on asetettava jokainen koneen sisällä.`,mend:{"":`Aseta jokainen liitäntä käyttämään DHCP:tä mainitussa tiedostossa.`,ifupdown:`Vaihda /etc/network/interfaces-tiedostossa jokaisen liitännän static sanaan dhcp ja poista rivit address, netmask ja gateway. Sen jälkeen siinä lukee:
    auto eth0
    iface eth0 inet dhcp
    auto eth1
    iface eth1 inet dhcp`,netplan:`Poista jokaisen liitännän addresses, gateway4 ja routes ja kirjoita dhcp4: true.
    sudoedit /etc/netplan/*.yaml
    sudo netplan apply`,networkd:`Poista Network-osiosta Address ja Gateway ja kirjoita DHCP=yes.
    sudoedit /etc/systemd/network/*.network`,networkmanager:`Aseta yhteys automaattiseksi ja poista sen osoitteet.
    nmcli connection show
    sudo nmcli connection modify NAME ipv4.method auto ipv4.addresses '' ipv4.gateway '' ipv4.routes '' ipv4.dns ''`,ifcfg:`Kirjoita jokaiseen ifcfg-tiedostoon BOOTPROTO=dhcp ja poista IPADDR, PREFIX, NETMASK, GATEWAY ja DNS.
    sudoedit /etc/sysconfig/network-scripts/ifcfg-eth0`,wicked:`Kirjoita SUSEn jokaiseen ifcfg-tiedostoon BOOTPROTO='dhcp' ja poista IPADDR; reitit ovat ifroute-tiedostoissa.
    sudoedit /etc/sysconfig/network/ifcfg-eth0`,windows:`Käynnistä → Ohjauspaneeli → Verkko ja Internet → Verkko- ja jakamiskeskus → Muuta sovittimen asetuksia → Ominaisuudet → Verkko → Internet-protokollan versio 4 (TCP/IPv4) → Ominaisuudet → Yleiset: hanki IP-osoite automaattisesti. Tai kirjoita järjestelmänvalvojana:
    netsh interface ipv4 set address name="Ethernet" source=dhcp
    netsh interface ipv4 set dnsservers name="Ethernet" source=dhcp`}},"access-windows-cloudbase":{title:`Cloudbase-Init ei ole asennettuna.`,consequence:`Mikään ei aseta uuden Windows-koneen salasanaa, nimeä ja verkkoa; vain vanha salasana avaa sen.`,mend:{"":`Lataa Cloudbase-Init osoitteesta cloudbase.it ja asenna: käyttäjä Administrator, paikallinen ryhmä Administrators, metatietojen salasana käytössä, sarjaportti COM1, palvelu LocalSystem-tilillä. Jätä asentimen kaksi viimeistä ruutua tyhjiksi, jos jatkat tämän koneen käyttöä.`}},"advice-accounts":{title:`{count} tiliä rootin ja oletustilin lisäksi voi kirjautua.`,consequence:`Ne, niiden tiedostot ja oikeudet ovat jokaisessa kloonissa, kenen se sitten onkin.`,mend:{"":`Pidä root ja yksi yleistili, kuten cloud-user; poista muut kotihakemistoineen.
    sudo userdel --remove {name}`}},"advice-acpi-hotplug":{title:`Tähän vanhaan järjestelmään ei voi liittää levyjä sen käydessä.`,consequence:`Sen ydin lataa acpiphp-moduulin vain käskettäessä; uudemmissa se on valmiina.`,mend:{"":`Lisää moduuli luetteloon.
    echo acpiphp | sudo tee -a /etc/modules`,rhel:`Lataa moduuli käynnistyksessä.
    echo 'modprobe acpiphp' | sudo tee /etc/sysconfig/modules/acpiphp.modules
    sudo chmod +x /etc/sysconfig/modules/acpiphp.modules`}},"advice-acpi":{title:`Mikään ei kuuntele virtapainiketta.`,consequence:`Pilvi ei voi sammuttaa eikä käynnistää konetta hallitusti; se katkaisee virran hetken päästä.`,mend:{"":`Asenna ACPI-palvelu.
    sudo apt-get install acpid`,rhel:`Asenna ACPI-palvelu ja laita se käynnistymään.
    sudo yum install acpid
    sudo chkconfig acpid on`,suse:`Asenna ACPI-palvelu zypperillä ja laita se käynnistymään.
    sudo zypper install acpid
    sudo chkconfig acpid on`,alpine:`Lisää ACPI-palvelu oletusajotasoon.
    apk add acpid
    rc-update add acpid default`,arch:`Asenna ACPI-palvelu pacmanilla.
    sudo pacman -S acpid`}},"advice-boot-commands":{title:`cloud-init suorittaa levykuvan komentoja joka käynnistyksessä.`,consequence:`Tämä voi olla tarkoitus; levykuvan käyttäjän tulisi tietää, mitä ne tekevät.`,mend:{"":`Katso komennot ja poista tiedosto hakemistosta /etc/cloud/cloud.cfg.d, jos ne ovat jäänteitä.
    ls /etc/cloud/cloud.cfg.d`}},"advice-cloudbase-settings":{title:`Cloudbase-Initin asetukset poikkeavat suositelluista.`,consequence:`Uusi kone voi saada toisen käyttäjän, pitää vanhan salasanan tai jättää konsolilokin tyhjäksi.`,mend:{"":`Aseta nämä rivit tiedostoon cloudbase-init.conf, ellei ylläpito halua muuta.
    username=Administrator
    groups=Administrators
    inject_user_password=true
    logging_serial_port_settings=COM1,115200,N,8`}},"advice-crontab":{title:`Levykuvassa on jonkun ajastetut komennot.`,consequence:`Jokainen klooni ajaa ne samaan aikaan, esimerkiksi varmuuskopion samalla nimellä.`,mend:{"":`Poista ajastukset, jotka eivät kuulu levykuvaan.
    sudo rm -f {file}`}},"advice-foreign-tools":{title:`Toisen hypervisorin työkaluja on asennettuna.`,consequence:`Ne etsivät isäntää, jota ei ole: virheitä lokissa, hitaampi käynnistys, joskus väärä kello tai verkko.`,mend:{"":`Poista mainitut paketit.
    sudo apt-get purge {name}`,rhel:`Poista mainitut paketit yumilla tai dnf:llä.
    sudo yum remove {name}`,suse:`Poista mainitut paketit zypperillä.
    sudo zypper remove {name}`,alpine:`Poista mainitut paketit apk:lla.
    apk del {name}`,arch:`Poista mainitut paketit pacmanilla.
    sudo pacman -Rns {name}`,windows:`Asetukset → Sovellukset tai Ohjauspaneeli → Ohjelmat ja toiminnot: poista mainitut ja käynnistä uudelleen.`}},"advice-hardware-tools":{title:`Fyysisen laitteiston ajureita tai työkaluja on asennettuna.`,consequence:`Virtuaalikoneessa ei ole tällaista laitteistoa: ne vievät tilaa ja aikaa ja ilmoittavat vikoja, joita ei ole.`,mend:{"":`Poista mainitut; laiteohjelmistot ja mikrokoodi kuuluvat isännälle.
    sudo apt-get purge {name}`,rhel:`Poista mainitut yumilla tai dnf:llä; laiteohjelmistot ja mikrokoodi kuuluvat isännälle.
    sudo yum remove {name}`,suse:`Poista mainitut zypperillä; laiteohjelmistot ja mikrokoodi kuuluvat isännälle.
    sudo zypper remove {name}`,alpine:`Poista mainitut apk:lla; laiteohjelmistot kuuluvat isännälle.
    apk del {name}`,arch:`Poista mainitut pacmanilla; laiteohjelmistot kuuluvat isännälle.
    sudo pacman -Rns {name}`,windows:`Poista se Ohjelmat ja toiminnot -kohdassa; vanhat laitteet ovat Laitehallinnassa: Näytä → Näytä piilotetut laitteet.`}},"advice-hostname":{title:`Vanhan koneen nimi on tallella.`,consequence:`Kloonit käyttävät sitä, kunnes cloud-init antaa nimen; ilman sitä kaikki pitävät sen.`,mend:{"":`Aseta yleinen nimi.
    echo localhost | sudo tee /etc/hostname`}},"advice-initrd-ide":{title:`Ydin ei voi käynnistyä IDE- eikä SATA-levyltä.`,consequence:`Virtiolla se käynnistyy; jos pilvi antaa emuloidun levyn ensikäynnistykseen tai korjaukseen, se ei löydä levyä.`,mend:{"":`Lisää ajurit initramfs-toolsin luetteloon ja luo initrd uudelleen.
    printf '%s\\n' ata_piix ahci | sudo tee -a /etc/initramfs-tools/modules
    sudo update-initramfs -u -k all`,rhel:`Anna dracutin lisätä IDE- ja SATA-ajurit.
    echo 'add_drivers+=" ata_piix ahci "' | sudo tee /etc/dracut.conf.d/ide.conf
    sudo dracut --force --regenerate-all`,suse:`Anna SUSEn dracutin lisätä IDE- ja SATA-ajurit.
    echo 'force_drivers+=" ata_piix ahci "' | sudo tee /etc/dracut.conf.d/ide.conf
    sudo dracut --force --regenerate-all`,alpine:`Lisää ata mkinitfs:n ominaisuuksiin ja luo initrd uudelleen.
    sed -i 's/features="/features="ata /' /etc/mkinitfs/mkinitfs.conf
    mkinitfs`,arch:`Lisää IDE- ja SATA-ajurit mkinitcpion MODULES-kohtaan.
    sudo sed -i 's/^MODULES=(/MODULES=(ata_piix ahci /' /etc/mkinitcpio.conf
    sudo mkinitcpio -P`}},"advice-needless-data":{title:`Levykuvassa on {size} lokeja, välimuisteja ja väliaikaistiedostoja.`,consequence:`Jokainen klooni kantaa niitä mukanaan; lokit kertovat myös aiempia nimiä ja osoitteita.`,mend:{"":`Siivoa viimeisenä.
    sudo apt-get clean
    sudo journalctl --rotate --vacuum-time=1s
    sudo find /var/log /tmp /var/tmp -type f -delete`,rhel:`Siivoa yumin välimuisti ja lokit viimeisenä.
    sudo yum clean all
    sudo find /var/log /tmp /var/tmp -type f -delete`,suse:`Siivoa zypperin välimuisti ja lokit viimeisenä.
    sudo zypper clean --all
    sudo find /var/log /tmp /var/tmp -type f -delete`,alpine:`Siivoa apk:n välimuisti ja lokit viimeisenä.
    rm -rf /var/cache/apk/*
    find /var/log /tmp /var/tmp -type f -delete`,arch:`Siivoa pacmanin välimuisti ja lokit viimeisenä.
    sudo pacman -Scc
    sudo find /var/log /tmp /var/tmp -type f -delete`,windows:`Suorita levyn siivous järjestelmätiedostoineen.
    cleanmgr /sageset:1 & cleanmgr /sagerun:1`}},"advice-root-partition":{title:`Juuritiedostojärjestelmä ei ole ensimmäisellä osiolla, ja cloud-init puuttuu.`,consequence:`SSH-avaimet levykuvaan kirjoittavat pilvet olettavat juuren ensimmäiselle osiolle; ilman cloud-initiä sisään pääsee vain rootin salasanalla.`,mend:{"":`Asenna cloud-init: silloin osioiden järjestyksellä ei ole väliä. Neuvo on ajalta ennen sitä.`}},"advice-serial-console":{title:`Ydin ei kirjoita sarjakonsoliin.`,consequence:`Portaalin konsoliloki pysyy tyhjänä juuri silloin, kun käynnistys epäonnistuu.`,mend:{"":`Lisää parametrit GRUBin asetuksiin.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo update-grub`,rhel:`Lisää parametrit kaikille ytimille grubbylla.
    sudo grubby --update-kernel=ALL --args='console=tty0 console=ttyS0,115200'`,suse:`Lisää parametrit ja kirjoita GRUBin valikko uudelleen.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo grub2-mkconfig -o /boot/grub2/grub.cfg`,alpine:`Lisää parametrit extlinuxin valikkoon.
    sed -i 's/^default_kernel_opts="/&console=tty0 console=ttyS0,115200 /' /etc/update-extlinux.conf
    update-extlinux`,arch:`Lisää parametrit ja luo GRUBin valikko uudelleen.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo grub-mkconfig -o /boot/grub/grub.cfg`}},"advice-unclean":{title:`Tiedostojärjestelmä oli käytössä, kun levykuva tehtiin.`,consequence:`Klooni korjaa sen ensikäynnistyksessä; se, mitä ohjelmat eivät olleet vielä kirjoittaneet, puuttuu.`,mend:{"":`Sammuta kone ennen levykuvan tekemistä.
    sudo shutdown -h now`,windows:`Poista lepotila käytöstä ja sammuta kone kokonaan.
    powercfg /hibernate off
    shutdown /s /t 0`}},"advice-windows-ide":{title:`Windows ei lataa IDE-ajuria käynnistyksessä.`,consequence:`Konetta ei voi käynnistää emuloidulla levyllä, mistä on apua virtion pettäessä.`,mend:{"":`Lataa ajurit käynnistyksessä.
    sc config intelide start= boot
    sc config atapi start= boot`}},"advice-windows-input":{title:`Näppäimistöllä tai hiirellä on suodatinajureita, jotka eivät ole Windowsin omia.`,consequence:`Jos sellainen ajuri puuttuu tai pettää, koneen konsolissa ei voi kirjoittaa eikä osoittaa.`,mend:{"":`Palauta Windowsin omat arvot.
    reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E96B-E325-11CE-BFC1-08002BE10318} /v UpperFilters /t REG_MULTI_SZ /d kbdclass /f
    reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E96F-E325-11CE-BFC1-08002BE10318} /v UpperFilters /t REG_MULTI_SZ /d mouclass /f`}},"advice-xorg":{title:`Näyttö on asetettu vanhan näytönohjaimen ajurille.`,consequence:`Graafinen kirjautuminen ei käynnisty toisella kortilla; muu järjestelmä kyllä.`,mend:{"":`Poista tiedosto tai Driver-rivi: oikea löytyy käynnistyksessä.
    sudo rm {file}`}},"boot-encrypted":{title:`Osa levystä on salattu.`,consequence:`Pilvessä kukaan ei kirjoita avainta käynnistyksessä, eikä salattua voi tutkia täällä.`,mend:{"":`Kopioi järjestelmä salaamattomalle levylle; palvelu salaa jokaisen säilyttämänsä levykuvan.`,windows:`Poista BitLocker käytöstä ja odota, kunnes levy on purettu; palvelu salaa säilyttämänsä.
    manage-bde -off C:
    manage-bde -status`}},"boot-fstab-device":{title:`Tiedostojärjestelmien taulukossa on laitenimiä, jotka ovat KVM:ssä toisia.`,consequence:`Sama levy on siellä /dev/vda. Käynnistys odottaa laitetta, jota ei tule, ja päättyy hätäkomentotulkkiin.`,mend:{"":`Katso kunkin tiedostojärjestelmän UUID ja kirjoita laitteen tilalle UUID=….
    lsblk -f
    sudoedit /etc/fstab`}},"boot-fstab-missing":{title:`Levykuva odottaa käynnistyessään levyä, joka ei kuulu siihen.`,consequence:`Vain käynnistyslevystä tulee levykuva. Siitä tehty kone odottaa datalevyä turhaan eikä nouse.`,mend:{"":`Irrota datalevyt, poista niiden rivit tiedostosta tai lisää valitsin nofail ja tee levykuva sitten.
    mount
    sudo umount /mnt/data
    sudoedit /etc/fstab`}},"boot-no-loader":{title:`Järjestelmä on, mutta käynnistyslataajaa ei.`,consequence:`BIOS eikä UEFI löydä mitään käynnistettävää: kone jää tilaan "no bootable device".`,mend:{"":`Asenna GRUB koko levylle, ei osiolle, ja kopioi koko levy levykuvaksi.
    sudo grub-install /dev/sda
    sudo update-grub`,windows:`Käynnistä Windowsin asennuslevyltä, valitse korjaus ja komentokehote ja kirjoita käynnistystietueet uudelleen.
    bootrec /fixmbr
    bootrec /fixboot
    bcdboot C:\\Windows`}},"boot-root-device":{title:`Käynnistysvalikko nimeää juuritiedostojärjestelmän laitenimellä.`,consequence:`KVM:ssä levyllä on toinen nimi, ydin ei löydä juurta ja käynnistys päättyy siihen.`,mend:{"":`Anna GRUBin kirjoittaa valikko uudelleen UUID-tunnuksin: GRUB_DISABLE_LINUX_UUID ei saa olla asetettu.
    sudo sed -i '/GRUB_DISABLE_LINUX_UUID/d' /etc/default/grub
    sudo update-grub`,rhel:`Anna ytimille juuren UUID ja kirjoita valikko uudelleen.
    sudo grubby --update-kernel=ALL --args=root=UUID=$(findmnt -no UUID /)
    sudo grub2-mkconfig -o /boot/grub2/grub.cfg`,grub:`Kirjoita root=UUID=… GRUB 0.97:n valikon jokaiselle kernel-riville.
    sudo blkid
    sudoedit /boot/grub/menu.lst`,syslinux:`Kirjoita root=UUID=… SYSLINUXin valikon jokaiselle APPEND-riville.
    sudo blkid
    sudoedit /boot/extlinux.conf`}},"boot-virtio":{title:`Ydin ei osaa käyttää KVM:n virtuaalilaitteita.`,consequence:`Mainitut ajurit eivät ole ytimessä eivätkä sen initrd:ssä. Se käynnistyy eikä löydä levyä, tai nousee ilman verkkoa.`,mend:{"":`Lisää ajurit jokaisen ytimen initrd:hen.
    printf '%s\\n' virtio_pci virtio_blk virtio_scsi virtio_net | sudo tee -a /etc/initramfs-tools/modules
    sudo update-initramfs -u -k all`,rhel:`Anna dracutin lisätä ajurit jokaisen ytimen initrd:hen.
    echo 'add_drivers+=" virtio_pci virtio_blk virtio_scsi virtio_net "' | sudo tee /etc/dracut.conf.d/virtio.conf
    sudo dracut --force --regenerate-all`,suse:`Anna SUSEn dracutin lisätä ajurit jokaiseen initrd:hen.
    echo 'force_drivers+=" virtio_pci virtio_blk virtio_scsi virtio_net "' | sudo tee /etc/dracut.conf.d/virtio.conf
    sudo dracut --force --regenerate-all`,alpine:`Lisää virtio mkinitfs:n ominaisuuksiin.
    sed -i 's/features="/features="virtio /' /etc/mkinitfs/mkinitfs.conf
    mkinitfs`,arch:`Lisää ajurit mkinitcpion MODULES-kohtaan.
    sudo sed -i 's/^MODULES=(/MODULES=(virtio_pci virtio_blk virtio_scsi virtio_net /' /etc/mkinitcpio.conf
    sudo mkinitcpio -P`,old:`Linuxissa on virtio versiosta 2.6.27 alkaen: asenna jakelun uudempi ydin tai käynnistä kone IDE-levyllä.`}},"boot-windows-virtio":{title:`Windowsissa ei ole virtio-ajuria levylle.`,consequence:`KVM:ssä se pysähtyy käynnistyksessä virheeseen "inaccessible boot device"; ilman verkkoajuria sillä ei ole verkkoa.`,mend:{"":`Asenna virtio-ajurit virtio-win-levyltä ennen levykuvan tekemistä ja käynnistä kerran virtio-levy liitettynä, jotta viostor ladataan käynnistyksessä.
    D:\\virtio-win-guest-tools.exe`}},"clone-authorized-keys":{title:`Levykuvaan on jäänyt SSH-avaimia, joilla voi kirjautua.`,consequence:`Näiden avainten haltijat pääsevät jokaiselle koneelle, jonka kuka tahansa tekee tästä levykuvasta.`,mend:{"":`Poista tiedosto jokaiselta tililtä; cloud-init kirjoittaa koneen käynnistäjän avaimet.
    sudo rm -f {file}`}},"clone-cloud-init-state":{title:`cloud-init muistaa aiemman koneen.`,consequence:`Versiosta riippuen se pitää kloonia vanhana koneena ja jättää uudet palvelinavaimet, käyttäjät tai verkon tekemättä.`,mend:{"":`Siivoa se viimeisenä; versiosta 23.3 alkaen --configs poistaa myös sen kirjoittamat verkkotiedostot.
    sudo cloud-init clean --logs
    sudo rm -rf /var/lib/cloud/*`}},"clone-dhcp-leases":{title:`Vanhan verkon osoitevarauksia on jäljellä.`,consequence:`Klooni pyytää ensin vanhan koneen osoitetta; kaksi häiritsee toisiaan tai joutuu odottamaan.`,mend:{"":`Poista tiedostot, kun asiakasohjelma ei ole käynnissä.
    sudo rm -f /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease`}},"clone-iscsi":{title:`Levykuvassa on iSCSI-liitoksia tai aloittajan nimi.`,consequence:`Kloonit kirjautuvat samalla nimellä samaan tallennukseen ja voivat tuhota sen sisällön.`,mend:{"":`Kirjaudu ulos kaikista kohteista, poista ne ja anna kunkin kloonin luoda oma nimensä.
    sudo iscsiadm -m node --logoutall=all
    sudo iscsiadm -m node -o delete
    echo GenerateName=yes | sudo tee /etc/iscsi/initiatorname.iscsi`}},"clone-machine-id":{title:`Machine-id on jo asetettu.`,consequence:`Kaikilla tästä levykuvasta tehdyillä koneilla on sama machine-id. Ne pyytävät samaa DHCP-osoitetta, eikä niiden lokeja voi erottaa toisistaan.`,mend:{"":`Tyhjennä tiedosto; systemd kirjoittaa uuden seuraavassa käynnistyksessä. Tee tämä viimeisenä, koska sammutus voi kirjoittaa sen uudelleen.
    sudo truncate -s 0 /etc/machine-id
    sudo rm -f /var/lib/dbus/machine-id
    sudo ln -s /etc/machine-id /var/lib/dbus/machine-id`,dbus:`Poista tiedostot; D-Bus kirjoittaa uuden seuraavassa käynnistyksessä.
    sudo rm -f /etc/machine-id /var/lib/dbus/machine-id`}},"clone-random-seed":{title:`Levykuvassa on satunnaislukujen siemen.`,consequence:`Kaikki kloonit aloittavat samasta siemenestä; jos laitteisto ei anna muuta, ne voivat luoda samat avaimet.`,mend:{"":`Poista se viimeisten joukossa; jokainen klooni kirjoittaa omansa sammuessaan.
    sudo rm -f /var/lib/systemd/random-seed`}},"clone-ssh-host-keys":{title:`Levykuvassa on {count} yksityistä SSH-palvelinavainta.`,consequence:`Kaikilla tämän levykuvan koneilla on sama identiteetti, ja kuka tahansa levykuvan lukija voi esiintyä niistä minä tahansa.`,mend:{"":`Poista avaimet ennen levykuvan tekemistä; cloud-init luo uudet ensimmäisessä käynnistyksessä.
    sudo rm -f /etc/ssh/ssh_host_*`}},"clone-subscription":{title:`Järjestelmä on rekisteröity toimittajalleen.`,consequence:`Kloonit jakavat yhden rekisteröinnin: ne syrjäyttävät toisensa, ja yksi tilaus palvelee monta konetta.`,mend:{"":`Irrota kone Ubuntu Prosta.
    sudo pro detach`,rhel:`Poista rekisteröinti ja identiteetti.
    sudo subscription-manager unregister
    sudo subscription-manager clean`,suse:`Poista rekisteröinti SUSE Customer Centeristä.
    sudo SUSEConnect --de-register
    sudo SUSEConnect --cleanup`}},"clone-windows-sysprep":{title:`Windowsia ei ole yleistetty sysprepillä.`,consequence:`Kaikilla klooneilla on sama suojaustunniste ja nimi: toimialueet ja lisenssit pitävät niitä samana tietokoneena.`,mend:{"":`Suorita sysprep viimeisenä ennen sammuttamista.
    C:\\Windows\\System32\\Sysprep\\sysprep.exe /generalize /oobe /shutdown`}},"secret-credentials":{title:`Levykuvan sisällä on ohjelman salasana tai tunniste.`,consequence:`Levykuvan saaja voi toimia omistajan nimissä palvelussa, johon tiedosto kuuluu.`,mend:{"":`Poista tiedosto ja mitätöi sen sisältö.
    sudo shred -u {file}`}},"secret-history":{title:`Jonkun kirjoittamat komennot ovat levykuvan sisällä.`,consequence:`Ne kertovat koneiden nimiä ja usein salasanoja; siltä näyttävät rivit on lueteltu.`,mend:{"":`Poista tiedostot viimeisenä ja vaihda niissä olleet salasanat.
    sudo rm -f {file}
    history -c`}},"secret-password":{title:`Tilillä on salasana, joka on levykuvan sisällä.`,consequence:`Jokainen klooni avautuu tällä salasanalla, ja levykuvan lukija voi arvailla sitä kaikessa rauhassa.`,mend:{"":`Lukitse salasana; kirjautuminen tapahtuu SSH-avaimilla.
    sudo passwd --lock {name}`,empty:`Lukitse tili heti: sen salasana on tyhjä, joten kuka tahansa voi kirjautua.
    sudo passwd --lock {name}`}},"secret-private-key":{title:`Levykuvan sisällä on yksityinen avain.`,consequence:`Joka saa levykuvan tai siitä tehdyn koneen, voi käyttää avainta kaikkialla, missä se kelpaa.`,mend:{"":`Poista avain ja vaihda se uuteen kaikkialla, missä sitä käytettiin: levykuvasta voi olla kopioita.
    sudo shred -u {file}`}}};export{e as default};