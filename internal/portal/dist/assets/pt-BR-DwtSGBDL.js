var e={"access-cloud-init-datasource":{title:`O cloud-init procura seus dados só em outras nuvens.`,consequence:`Numa nuvem OpenStack ele não encontra nada: nem chaves, nem nome, nem rede.`,mend:{"":`Acrescente as fontes do OpenStack à lista.
    echo 'datasource_list: [ConfigDrive, OpenStack, NoCloud, None]' | sudo tee /etc/cloud/cloud.cfg.d/99-datasource.cfg`}},"access-cloud-init-disabled":{title:`O cloud-init está instalado, mas desligado.`,consequence:`Ele não roda na inicialização: uma máquina nova mantém o nome, as chaves e a rede da antiga.`,mend:{"":`Remova o que o desliga: o arquivo indicado, um mask ou cloud-init=disabled nos parâmetros do kernel.
    sudo rm -f /etc/cloud/cloud-init.disabled
    sudo systemctl unmask cloud-init cloud-init-local cloud-config cloud-final`,enable:`Habilite os serviços dele.
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`}},"access-cloud-init-modules":{title:`Faltam ao cloud-init os módulos {modules}.`,consequence:`Sem eles não são geradas chaves de host SSH ou nenhum usuário recebe chave, e ninguém consegue entrar.`,mend:{"":`Recoloque-os nas listas cloud_init_modules de /etc/cloud/cloud.cfg.
    sudoedit /etc/cloud/cloud.cfg`}},"access-cloud-init":{title:`O cloud-init não está instalado.`,consequence:`Nada coloca chaves SSH, nome e rede numa máquina nova. Só se chega a ela com a senha que está dentro da imagem, se tanto.`,mend:{"":`Instale-o e veja se está configurado.
    sudo apt-get update
    sudo apt-get install cloud-init
    cloud-init status`,rhel:`Instale-o pela distribuição e habilite-o.
    sudo yum install cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`,suse:`Instale-o com zypper e habilite-o.
    sudo zypper install cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`,alpine:`Instale-o com apk e execute a configuração dele.
    apk add cloud-init
    setup-cloud-init`,arch:`Instale-o com pacman e habilite-o.
    sudo pacman -S cloud-init
    sudo systemctl enable cloud-init-local cloud-init cloud-config cloud-final`}},"access-fixed-mac":{title:`A rede está amarrada ao endereço MAC da placa de rede antiga.`,consequence:`Uma máquina nova tem outra placa. A interface recebe outro nome ou nada desta configuração, e não há rede.`,mend:{"":`Apague o endereço MAC do arquivo indicado.`,udev:`Apague os arquivos de regras; os usuais têm net e persistent no nome.
    sudo rm -f /etc/udev/rules.d/*net*persistent* /etc/udev/rules.d/*persistent*net*`,ifupdown:`Apague as linhas que começam com hwaddress.
    sudo sed -i '/hwaddress/d' /etc/network/interfaces`,netplan:`Apague match: macaddress e set-name de cada interface; o cloud-init grava o arquivo de novo.
    sudo rm -f /etc/netplan/50-cloud-init.yaml`,networkd:`Selecione as interfaces por nome em vez de MACAddress.
    sudoedit /etc/systemd/network/*.network`,networkmanager:`Retire o endereço da conexão.
    sudo nmcli connection modify NAME 802-3-ethernet.mac-address '' 802-3-ethernet.cloned-mac-address ''`,ifcfg:`Apague HWADDR, MACADDR e UUID de cada arquivo ifcfg.
    sudo sed -i '/^HWADDR=/d;/^MACADDR=/d;/^UUID=/d' /etc/sysconfig/network-scripts/ifcfg-e*`,wicked:`Apague LLADDR de cada arquivo ifcfg.
    sudo sed -i '/^LLADDR=/d' /etc/sysconfig/network/ifcfg-e*`}},"access-static-network":{title:`Uma interface tem endereço fixo em vez de DHCP.`,consequence:`Todas as máquinas desta imagem assumem o mesmo endereço, numa rede que talvez nem o tenha: ninguém as alcança. Interfaces acrescentadas depois também precisam de DHCP, ou um administrador terá de configurar cada uma dentro da máquina.`,mend:{"":`Configure todas as interfaces para DHCP no arquivo indicado.`,ifupdown:`Em /etc/network/interfaces troque static por dhcp em cada interface e apague as linhas address, netmask e gateway. Fica assim:
    auto eth0
    iface eth0 inet dhcp
    auto eth1
    iface eth1 inet dhcp`,netplan:`Apague addresses, gateway4 e routes de cada interface e escreva dhcp4: true.
    sudoedit /etc/netplan/*.yaml
    sudo netplan apply`,networkd:`Apague Address e Gateway da seção Network e escreva DHCP=yes.
    sudoedit /etc/systemd/network/*.network`,networkmanager:`Ponha a conexão em automático e retire os endereços.
    nmcli connection show
    sudo nmcli connection modify NAME ipv4.method auto ipv4.addresses '' ipv4.gateway '' ipv4.routes '' ipv4.dns ''`,ifcfg:`Escreva BOOTPROTO=dhcp em cada arquivo ifcfg e apague IPADDR, PREFIX, NETMASK, GATEWAY e DNS.
    sudoedit /etc/sysconfig/network-scripts/ifcfg-eth0`,wicked:`Escreva BOOTPROTO='dhcp' em cada arquivo ifcfg do SUSE e apague IPADDR; as rotas ficam nos arquivos ifroute.
    sudoedit /etc/sysconfig/network/ifcfg-eth0`,windows:`Iniciar → Painel de Controle → Rede e Internet → Central de Rede e Compartilhamento → Alterar as configurações do adaptador → Propriedades → Rede → Protocolo IP Versão 4 (TCP/IPv4) → Propriedades → Geral: obter um endereço IP automaticamente. Ou digite como administrador:
    netsh interface ipv4 set address name="Ethernet" source=dhcp
    netsh interface ipv4 set dnsservers name="Ethernet" source=dhcp`}},"access-windows-cloudbase":{title:`O Cloudbase-Init não está instalado.`,consequence:`Nada define senha, nome e rede de uma nova máquina Windows; só a senha antiga a abre.`,mend:{"":`Baixe o Cloudbase-Init de cloudbase.it e instale: usuário Administrator, grupo local Administrators, usar senha dos metadados marcado, porta serial COM1, serviço como LocalSystem. Deixe as duas últimas opções do instalador desmarcadas se continuar trabalhando nesta máquina.`}},"advice-accounts":{title:`{count} contas além de root e da padrão podem entrar.`,consequence:`Elas, seus arquivos e seus direitos ficam em todos os clones, seja de quem forem.`,mend:{"":`Mantenha root e uma conta genérica, como cloud-user; apague as outras com seus diretórios.
    sudo userdel --remove {name}`}},"advice-acpi-hotplug":{title:`Não é possível anexar volumes com este sistema antigo em execução.`,consequence:`O kernel só carrega o módulo acpiphp se mandado; sistemas mais novos já o trazem embutido.`,mend:{"":`Acrescente o módulo à lista.
    echo acpiphp | sudo tee -a /etc/modules`,rhel:`Faça o módulo ser carregado na inicialização.
    echo 'modprobe acpiphp' | sudo tee /etc/sysconfig/modules/acpiphp.modules
    sudo chmod +x /etc/sysconfig/modules/acpiphp.modules`}},"advice-acpi":{title:`Nada escuta o botão de energia.`,consequence:`A nuvem não consegue desligar nem reiniciar a máquina de forma limpa; corta a energia depois de um tempo.`,mend:{"":`Instale o daemon ACPI.
    sudo apt-get install acpid`,rhel:`Instale o daemon ACPI e habilite-o.
    sudo yum install acpid
    sudo chkconfig acpid on`,suse:`Instale o daemon ACPI com zypper e habilite-o.
    sudo zypper install acpid
    sudo chkconfig acpid on`,alpine:`Acrescente o daemon ACPI ao runlevel padrão.
    apk add acpid
    rc-update add acpid default`,arch:`Instale o daemon ACPI com pacman.
    sudo pacman -S acpid`}},"advice-boot-commands":{title:`O cloud-init executa comandos da imagem a cada inicialização.`,consequence:`Pode ser intencional; quem usa a imagem deve saber o que eles fazem.`,mend:{"":`Veja os comandos e apague o arquivo em /etc/cloud/cloud.cfg.d se forem sobras.
    ls /etc/cloud/cloud.cfg.d`}},"advice-cloudbase-settings":{title:`Configurações do Cloudbase-Init diferem do recomendado.`,consequence:`Uma máquina nova pode ganhar outro usuário, manter a senha antiga ou deixar o log do console vazio.`,mend:{"":`Defina estas linhas em cloudbase-init.conf, salvo se o site pedir outras.
    username=Administrator
    groups=Administrators
    inject_user_password=true
    logging_serial_port_settings=COM1,115200,N,8`}},"advice-crontab":{title:`A tabela de comandos agendados de alguém está na imagem.`,consequence:`Todo clone a executa no mesmo horário, como um backup com um só nome.`,mend:{"":`Apague as tabelas que não pertencem à imagem.
    sudo rm -f {file}`}},"advice-foreign-tools":{title:`Há ferramentas de outro hipervisor instaladas.`,consequence:`Procuram um host que não existe: erros no log, início mais lento e às vezes relógio ou rede errados.`,mend:{"":`Remova os pacotes indicados.
    sudo apt-get purge {name}`,rhel:`Remova os pacotes indicados com yum ou dnf.
    sudo yum remove {name}`,suse:`Remova os pacotes indicados com zypper.
    sudo zypper remove {name}`,alpine:`Remova os pacotes indicados com apk.
    apk del {name}`,arch:`Remova os pacotes indicados com pacman.
    sudo pacman -Rns {name}`,windows:`Configurações → Aplicativos, ou Painel de Controle → Programas e Recursos: desinstale o que foi indicado e reinicie.`}},"advice-hardware-tools":{title:`Há drivers ou ferramentas de hardware físico instalados.`,consequence:`Uma máquina virtual não tem esse hardware: ocupam espaço e tempo e relatam falhas que não existem.`,mend:{"":`Remova o que foi indicado; firmware e microcódigo são do host.
    sudo apt-get purge {name}`,rhel:`Remova com yum ou dnf o que foi indicado; firmware e microcódigo são do host.
    sudo yum remove {name}`,suse:`Remova com zypper o que foi indicado; firmware e microcódigo são do host.
    sudo zypper remove {name}`,alpine:`Remova com apk o que foi indicado; firmware é do host.
    apk del {name}`,arch:`Remova com pacman o que foi indicado; firmware é do host.
    sudo pacman -Rns {name}`,windows:`Desinstale em Programas e Recursos; dispositivos antigos estão no Gerenciador de Dispositivos em Exibir → Mostrar dispositivos ocultos.`}},"advice-hostname":{title:`O nome da máquina antiga foi mantido.`,consequence:`Os clones o usam até o cloud-init dar outro; sem cloud-init todos ficam com ele.`,mend:{"":`Defina um nome genérico.
    echo localhost | sudo tee /etc/hostname`}},"advice-initrd-ide":{title:`O kernel não consegue iniciar de um disco IDE ou SATA.`,consequence:`Com virtio inicia; onde a nuvem dá um disco emulado, na primeira inicialização ou num reparo, não encontra nenhum.`,mend:{"":`Acrescente os drivers à lista do initramfs-tools e gere o initrd de novo.
    printf '%s\\n' ata_piix ahci | sudo tee -a /etc/initramfs-tools/modules
    sudo update-initramfs -u -k all`,rhel:`Faça o dracut acrescentar os drivers IDE e SATA.
    echo 'add_drivers+=" ata_piix ahci "' | sudo tee /etc/dracut.conf.d/ide.conf
    sudo dracut --force --regenerate-all`,suse:`Faça o dracut do SUSE acrescentar os drivers IDE e SATA.
    echo 'force_drivers+=" ata_piix ahci "' | sudo tee /etc/dracut.conf.d/ide.conf
    sudo dracut --force --regenerate-all`,alpine:`Acrescente ata aos recursos do mkinitfs e gere o initrd de novo.
    sed -i 's/features="/features="ata /' /etc/mkinitfs/mkinitfs.conf
    mkinitfs`,arch:`Acrescente os drivers IDE e SATA a MODULES do mkinitcpio.
    sudo sed -i 's/^MODULES=(/MODULES=(ata_piix ahci /' /etc/mkinitcpio.conf
    sudo mkinitcpio -P`}},"advice-needless-data":{title:`Há {size} de logs, caches e arquivos temporários na imagem.`,consequence:`Todo clone os carrega; os logs também contam nomes e endereços de onde a máquina esteve.`,mend:{"":`Faça a limpeza como último passo.
    sudo apt-get clean
    sudo journalctl --rotate --vacuum-time=1s
    sudo find /var/log /tmp /var/tmp -type f -delete`,rhel:`Limpe o cache do yum e os logs como último passo.
    sudo yum clean all
    sudo find /var/log /tmp /var/tmp -type f -delete`,suse:`Limpe o cache do zypper e os logs como último passo.
    sudo zypper clean --all
    sudo find /var/log /tmp /var/tmp -type f -delete`,alpine:`Limpe o cache do apk e os logs como último passo.
    rm -rf /var/cache/apk/*
    find /var/log /tmp /var/tmp -type f -delete`,arch:`Limpe o cache do pacman e os logs como último passo.
    sudo pacman -Scc
    sudo find /var/log /tmp /var/tmp -type f -delete`,windows:`Execute a limpeza de disco, com os arquivos do sistema.
    cleanmgr /sageset:1 & cleanmgr /sagerun:1`}},"advice-root-partition":{title:`O sistema de arquivos raiz não está na primeira partição, e falta o cloud-init.`,consequence:`Nuvens que gravam chaves SSH na imagem esperam a raiz na primeira partição; sem cloud-init só se entra com a senha de root.`,mend:{"":`Instale o cloud-init: aí a ordem das partições não importa. Este conselho vem de antes dele.`}},"advice-serial-console":{title:`O kernel não escreve no console serial.`,consequence:`O log de console no portal fica vazio, justo quando uma inicialização falha.`,mend:{"":`Acrescente os parâmetros às configurações do GRUB.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo update-grub`,rhel:`Acrescente os parâmetros a todos os kernels com grubby.
    sudo grubby --update-kernel=ALL --args='console=tty0 console=ttyS0,115200'`,suse:`Acrescente os parâmetros e grave o menu do GRUB de novo.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo grub2-mkconfig -o /boot/grub2/grub.cfg`,alpine:`Acrescente os parâmetros ao menu do extlinux.
    sed -i 's/^default_kernel_opts="/&console=tty0 console=ttyS0,115200 /' /etc/update-extlinux.conf
    update-extlinux`,arch:`Acrescente os parâmetros e gere o menu do GRUB de novo.
    sudo sed -i 's/^GRUB_CMDLINE_LINUX="/&console=tty0 console=ttyS0,115200 /' /etc/default/grub
    sudo grub-mkconfig -o /boot/grub/grub.cfg`}},"advice-unclean":{title:`Um sistema de arquivos estava em uso quando a imagem foi criada.`,consequence:`Um clone o repara na primeira inicialização; falta o que os programas ainda não tinham gravado.`,mend:{"":`Desligue a máquina antes de criar a imagem.
    sudo shutdown -h now`,windows:`Desative a hibernação e desligue a máquina por completo.
    powercfg /hibernate off
    shutdown /s /t 0`}},"advice-windows-ide":{title:`O Windows não carrega o driver IDE na inicialização.`,consequence:`A máquina não pode ser iniciada com disco emulado, o que ajuda quando o virtio falha.`,mend:{"":`Faça os drivers iniciarem no boot.
    sc config intelide start= boot
    sc config atapi start= boot`}},"advice-windows-input":{title:`Teclado ou mouse têm drivers de filtro que não são do Windows.`,consequence:`Se um desses drivers sumir ou falhar, ninguém digita nem aponta no console da máquina.`,mend:{"":`Volte os valores ao padrão do Windows.
    reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E96B-E325-11CE-BFC1-08002BE10318} /v UpperFilters /t REG_MULTI_SZ /d kbdclass /f
    reg add HKLM\\SYSTEM\\CurrentControlSet\\Control\\Class\\{4D36E96F-E325-11CE-BFC1-08002BE10318} /v UpperFilters /t REG_MULTI_SZ /d mouclass /f`}},"advice-xorg":{title:`A tela está fixada no driver da placa de vídeo antiga.`,consequence:`O login gráfico não inicia com outra placa; o resto do sistema sim.`,mend:{"":`Apague o arquivo ou a linha com Driver: o certo é encontrado na inicialização.
    sudo rm {file}`}},"boot-encrypted":{title:`Uma parte do disco está cifrada.`,consequence:`Numa nuvem ninguém digita a chave na inicialização, e o que está cifrado não pode ser examinado aqui.`,mend:{"":`Copie o sistema para um disco sem cifra; o serviço cifra toda imagem que guarda.`,windows:`Desative o BitLocker e espere o disco ser decifrado; o serviço cifra o que guarda.
    manage-bde -off C:
    manage-bde -status`}},"boot-fstab-device":{title:`A tabela de sistemas de arquivos usa nomes de dispositivos que são outros no KVM.`,consequence:`Lá o mesmo disco se chama /dev/vda. A inicialização espera por um dispositivo que não aparece e termina no modo de emergência.`,mend:{"":`Consulte o UUID de cada sistema de arquivos e escreva UUID=… no lugar do dispositivo.
    lsblk -f
    sudoedit /etc/fstab`}},"boot-fstab-missing":{title:`A imagem espera na inicialização por um disco que não faz parte dela.`,consequence:`Somente o disco de boot vira imagem. Uma máquina criada a partir dela espera em vão pelo disco de dados e não sobe.`,mend:{"":`Desmonte os discos de dados, retire as linhas deles do arquivo ou acrescente nofail às opções e então crie a imagem.
    mount
    sudo umount /mnt/data
    sudoedit /etc/fstab`}},"boot-no-loader":{title:`Há um sistema, mas nenhum carregador de boot.`,consequence:`Nem o firmware BIOS nem o UEFI encontram o que iniciar: a máquina para em "no bootable device".`,mend:{"":`Instale o GRUB no disco inteiro, não numa partição, e copie o disco inteiro para a imagem.
    sudo grub-install /dev/sda
    sudo update-grub`,windows:`Inicie pelo disco de instalação do Windows, escolha reparar e o prompt de comando e grave os registros de boot de novo.
    bootrec /fixmbr
    bootrec /fixboot
    bcdboot C:\\Windows`}},"boot-root-device":{title:`O menu de boot indica o sistema de arquivos raiz por um nome de dispositivo.`,consequence:`No KVM o disco tem outro nome, o kernel não encontra a raiz e a inicialização para aí.`,mend:{"":`Deixe o GRUB gravar o menu de novo com UUIDs: GRUB_DISABLE_LINUX_UUID não pode estar definido.
    sudo sed -i '/GRUB_DISABLE_LINUX_UUID/d' /etc/default/grub
    sudo update-grub`,rhel:`Informe aos kernels o UUID da raiz e grave o menu de novo.
    sudo grubby --update-kernel=ALL --args=root=UUID=$(findmnt -no UUID /)
    sudo grub2-mkconfig -o /boot/grub2/grub.cfg`,grub:`Escreva root=UUID=… em cada linha kernel do menu do GRUB 0.97.
    sudo blkid
    sudoedit /boot/grub/menu.lst`,syslinux:`Escreva root=UUID=… em cada linha APPEND do menu do SYSLINUX.
    sudo blkid
    sudoedit /boot/extlinux.conf`}},"boot-virtio":{title:`Um kernel não sabe usar o hardware virtual do KVM.`,consequence:`Os drivers citados não estão no kernel nem no initrd dele. Ele inicia e não encontra disco, ou sobe sem rede.`,mend:{"":`Coloque os drivers no initrd de todos os kernels.
    printf '%s\\n' virtio_pci virtio_blk virtio_scsi virtio_net | sudo tee -a /etc/initramfs-tools/modules
    sudo update-initramfs -u -k all`,rhel:`Faça o dracut colocar os drivers no initrd de todos os kernels.
    echo 'add_drivers+=" virtio_pci virtio_blk virtio_scsi virtio_net "' | sudo tee /etc/dracut.conf.d/virtio.conf
    sudo dracut --force --regenerate-all`,suse:`Faça o dracut do SUSE colocar os drivers em cada initrd.
    echo 'force_drivers+=" virtio_pci virtio_blk virtio_scsi virtio_net "' | sudo tee /etc/dracut.conf.d/virtio.conf
    sudo dracut --force --regenerate-all`,alpine:`Acrescente virtio aos recursos do mkinitfs.
    sed -i 's/features="/features="virtio /' /etc/mkinitfs/mkinitfs.conf
    mkinitfs`,arch:`Acrescente os drivers a MODULES do mkinitcpio.
    sudo sed -i 's/^MODULES=(/MODULES=(virtio_pci virtio_blk virtio_scsi virtio_net /' /etc/mkinitcpio.conf
    sudo mkinitcpio -P`,old:`O Linux tem virtio a partir da versão 2.6.27: instale um kernel mais novo da distribuição ou inicie a máquina com disco IDE.`}},"boot-windows-virtio":{title:`O Windows não tem driver virtio para o disco.`,consequence:`No KVM ele para na inicialização com "inaccessible boot device"; sem o driver de rede fica sem rede.`,mend:{"":`Instale os drivers virtio do disco virtio-win antes de criar a imagem e inicie uma vez com um disco virtio anexado para que o viostor passe a ser carregado no boot.
    D:\\virtio-win-guest-tools.exe`}},"clone-authorized-keys":{title:`Chaves SSH autorizadas a entrar ficaram na imagem.`,consequence:`Os donos dessas chaves podem entrar em qualquer máquina criada por qualquer pessoa a partir desta imagem.`,mend:{"":`Apague o arquivo de cada conta; o cloud-init grava as chaves de quem iniciar a máquina.
    sudo rm -f {file}`}},"clone-cloud-init-state":{title:`O cloud-init ainda se lembra de uma máquina anterior.`,consequence:`Conforme a versão, ele toma um clone pela máquina antiga e deixa de criar chaves de host, usuários ou rede.`,mend:{"":`Limpe como último passo; a partir da versão 23.3, --configs também remove os arquivos de rede que ele gravou.
    sudo cloud-init clean --logs
    sudo rm -rf /var/lib/cloud/*`}},"clone-dhcp-leases":{title:`Concessões de endereços da rede antiga ficaram guardadas.`,consequence:`Um clone pede primeiro o endereço da máquina antiga; dois deles se atrapalham ou ficam esperando.`,mend:{"":`Apague os arquivos sem nenhum cliente em execução.
    sudo rm -f /var/lib/dhcp/*.leases /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease`}},"clone-iscsi":{title:`A imagem tem conexões iSCSI ou o nome de um iniciador.`,consequence:`Os clones entram no mesmo armazenamento com um só nome e podem destruir o que há nele.`,mend:{"":`Saia de todos os alvos, apague-os e deixe cada clone gerar seu nome.
    sudo iscsiadm -m node --logoutall=all
    sudo iscsiadm -m node -o delete
    echo GenerateName=yes | sudo tee /etc/iscsi/initiatorname.iscsi`}},"clone-machine-id":{title:`O machine-id já está definido.`,consequence:`Todas as máquinas criadas a partir desta imagem têm o mesmo machine-id. Elas pedem o mesmo endereço DHCP, e seus registros não podem ser distinguidos.`,mend:{"":`Esvazie o arquivo; o systemd grava um novo na próxima inicialização. Faça isso por último, pois o desligamento pode gravá-lo de novo.
    sudo truncate -s 0 /etc/machine-id
    sudo rm -f /var/lib/dbus/machine-id
    sudo ln -s /etc/machine-id /var/lib/dbus/machine-id`,dbus:`Remova os arquivos; o D-Bus grava um novo na próxima inicialização.
    sudo rm -f /etc/machine-id /var/lib/dbus/machine-id`}},"clone-random-seed":{title:`Uma semente de números aleatórios ficou na imagem.`,consequence:`Todos os clones começam com a mesma semente; onde o hardware não fornece outra, podem gerar as mesmas chaves.`,mend:{"":`Apague-a num dos últimos passos; cada clone grava a sua ao desligar.
    sudo rm -f /var/lib/systemd/random-seed`}},"clone-ssh-host-keys":{title:`{count} chaves privadas de host SSH estão na imagem.`,consequence:`Todas as máquinas desta imagem mostram a mesma identidade, e quem puder ler a imagem pode se passar por qualquer uma delas.`,mend:{"":`Apague as chaves antes de criar a imagem; o cloud-init gera novas na primeira inicialização.
    sudo rm -f /etc/ssh/ssh_host_*`}},"clone-subscription":{title:`O sistema está registrado junto ao fornecedor.`,consequence:`Os clones dividem um só registro: um derruba o outro, e uma assinatura serve a muitas máquinas.`,mend:{"":`Desvincule a máquina do Ubuntu Pro.
    sudo pro detach`,rhel:`Cancele o registro e remova a identidade.
    sudo subscription-manager unregister
    sudo subscription-manager clean`,suse:`Cancele o registro no SUSE Customer Center.
    sudo SUSEConnect --de-register
    sudo SUSEConnect --cleanup`}},"clone-windows-sysprep":{title:`O Windows não foi generalizado com sysprep.`,consequence:`Todos os clones têm o mesmo identificador de segurança e o mesmo nome: domínios e licenças os tomam pelo mesmo computador.`,mend:{"":`Execute o sysprep como último passo antes de desligar a máquina.
    C:\\Windows\\System32\\Sysprep\\sysprep.exe /generalize /oobe /shutdown`}},"secret-credentials":{title:`A senha ou o token de um programa está dentro da imagem.`,consequence:`Quem receber a imagem pode agir em nome do dono no serviço a que o arquivo pertence.`,mend:{"":`Apague o arquivo e revogue o que há nele.
    sudo shred -u {file}`}},"secret-history":{title:`Os comandos digitados por alguém estão dentro da imagem.`,consequence:`Eles contam nomes de máquinas e muitas vezes senhas; as linhas que parecem conter uma estão listadas.`,mend:{"":`Apague os arquivos como último passo e troque as senhas que estavam neles.
    sudo rm -f {file}
    history -c`}},"secret-password":{title:`Uma conta tem uma senha que está dentro da imagem.`,consequence:`Todo clone se abre com essa senha, e quem puder ler a imagem pode tentar adivinhá-la com calma.`,mend:{"":`Bloqueie a senha; as pessoas entram com suas chaves SSH.
    sudo passwd --lock {name}`,empty:`Bloqueie a conta já: a senha é vazia, e qualquer um pode entrar.
    sudo passwd --lock {name}`}},"secret-private-key":{title:`Há uma chave privada dentro da imagem.`,consequence:`Quem receber a imagem, ou uma máquina feita dela, pode usar a chave onde quer que ela seja aceita.`,mend:{"":`Apague a chave e troque-a por outra onde era usada: pode haver cópias da imagem.
    sudo shred -u {file}`}}};export{e as default};