var e=`<h1 id="guia">Guia</h1>
<p>Como obter, criar, verificar, converter, enviar, compartilhar e entregar imagens de máquinas virtuais. Cada comando desta página
funciona como está escrito; o portal faz o mesmo com o mouse, com os nomes que aparecem aqui.</p>
<h2 id="palavras">Palavras</h2>
<table>
<thead>
<tr>
<th>palavra</th>
<th>significado</th>
</tr>
</thead>
<tbody><tr>
<td>imagem</td>
<td>o que aparece nas listas: um nome, um dono, um status, propriedades e o conteúdo</td>
</tr>
<tr>
<td>disco</td>
<td>o que a máquina vê: bytes do primeiro ao último setor</td>
</tr>
<tr>
<td>formato</td>
<td>como um disco fica em um arquivo: raw, qcow2, VMDK, VHD, VHDX, VDI, ISO, OVA</td>
</tr>
<tr>
<td>visão</td>
<td>uma imagem como arquivo de um formato, feita enquanto você baixa; nada é convertido antes</td>
</tr>
<tr>
<td>relatório</td>
<td>o que o doutor encontrou dentro de uma imagem: o sistema, seus pacotes e o que vai dar errado</td>
</tr>
<tr>
<td>achado</td>
<td>um item do relatório, com arquivo e linha, a consequência e como corrigir</td>
</tr>
<tr>
<td>projeto</td>
<td>a quem as imagens pertencem; as pessoas trabalham em um ou em vários</td>
</tr>
<tr>
<td>membro</td>
<td>um projeto com o qual uma imagem é compartilhada</td>
</tr>
<tr>
<td>link</td>
<td>um endereço com o qual quem o tiver baixa ou preenche uma imagem, por um tempo</td>
</tr>
<tr>
<td>imagem da plataforma</td>
<td>uma imagem que o operador oferece a todos</td>
</tr>
</tbody></table>
<h2 id="antes-de-começar">Antes de começar</h2>
<p>O operador lhe dá um arquivo <code>clouds.yaml</code>, ou você o obtém no portal em <strong>Acesso à API</strong>. Na sua própria máquina, <code>kuva serve</code>
o escreve na pasta de dados. Diga onde ele está e qual é a nuvem:</p>
<pre><code class="language-sh">export OS_CLIENT_CONFIG_FILE=$PWD/data/clouds.yaml OS_CLOUD=kuva
kuva image list
</code></pre>
<p>O cliente padrão funciona do mesmo modo:</p>
<pre><code class="language-sh">openstack image list
</code></pre>
<h2 id="obter-uma-imagem">Obter uma imagem</h2>
<p>Portal: <strong>Imagens → Plataforma</strong>, depois <strong>Baixar como …</strong> na página da imagem. Na linha de comando:</p>
<pre><code class="language-sh">kuva image list --visibility public
</code></pre>
<p>Você também pode partir de uma imagem publicada por uma distribuição: baixe a imagem <em>cloud</em> ou <em>generic</em>, em qcow2 ou raw. As comprimidas não
precisam ser descompactadas. Onde o site permite, <code>kuva image import URL</code> a busca sem passar pela sua linha, e <code>kuva image import --catalogue NAME</code>
pega uma que o operador escolheu.</p>
<h2 id="criar-uma-imagem">Criar uma imagem</h2>
<p>Há duas famílias de ferramentas.</p>
<ul>
<li><strong>À mão</strong>: instale um sistema em uma máquina sua (VirtualBox, virt-manager, virt-install), a partir do ISO da distribuição, com ou sem
arquivo de respostas; depois desligue-a. Fácil e conhecido, mas lento, difícil de repetir, e a imagem ainda precisa ser preparada para a nuvem.</li>
<li><strong>Com uma ferramenta de imagem base</strong> (diskimage-builder, virt-builder, mmdebstrap, Packer): um comando faz a imagem a partir de uma descrição.
Rápido, repetível, pequeno e pronto para a nuvem; mais difícil de personalizar.</li>
</ul>
<p>À mão, começa com um disco vazio, no qual o instalador da sua máquina virtual escreve:</p>
<pre><code class="language-sh">qemu-img create -f qcow2 new.qcow2 10G
</code></pre>
<p>O que toda imagem precisa, não importa como foi feita: cloud-init (no Windows: cloudbase-init), drivers virtio, endereços por DHCP, um sistema de
arquivos raiz que possa crescer, nenhuma chave de host SSH, nenhum machine-id, nenhuma senha ou chave sua. Você não precisa decorar esta lista: o doutor a
conhece.</p>
<p>O instantâneo de uma máquina em execução também é uma imagem. Desligue a máquina antes, para que os sistemas de arquivos estejam íntegros.</p>
<h2 id="verificar">Verificar</h2>
<p>Antes do envio, na sua própria máquina; nada é enviado a lugar nenhum:</p>
<pre><code class="language-sh">kuva inspect debian-12.qcow2
</code></pre>
<p>Ele diz que sistema está dentro, se uma máquina feita dele inicia, pode ser acessada e difere de seus clones; depois cada achado com o modo de
corrigir. Sobre o próprio arquivo, e não o que está dentro:</p>
<pre><code class="language-sh">kuva info debian-12.qcow2
kuva check debian-12.qcow2
</code></pre>
<p>Depois do envio, o mesmo relatório está na página da imagem, no seu idioma.</p>
<h2 id="converter">Converter</h2>
<p>Uma imagem não precisa ser convertida antes do envio, nem para baixar: escolha o formato ali. Para arquivos locais:</p>
<pre><code class="language-sh">kuva convert debian-12.qcow2 debian-12.vmdk
kuva compare debian-12.qcow2 debian-12.vmdk
</code></pre>
<h2 id="enviar">Enviar</h2>
<p>Portal: <strong>Imagens → Privadas → Carregamento de imagem</strong>: dê um nome, escolha o arquivo, comece. Você pode fechar a página; escolha o mesmo arquivo de novo e o
envio continua de onde estava. Na linha de comando, que também continua depois de interrompida:</p>
<pre><code class="language-sh">kuva image upload debian-12.qcow2 --name web-1 --tag base
kuva image show web-1
</code></pre>
<p>Com o cliente padrão, ao qual é preciso dizer o formato:</p>
<pre><code class="language-sh">openstack image create --disk-format qcow2 --container-format bare --private --file debian-12.qcow2 web-2
</code></pre>
<p>O status vai de <em>Criando</em> a <em>Normal</em>. Em <em>Erro</em>, a página da imagem diz o motivo, e a mesma imagem pode ser preenchida de novo.</p>
<h2 id="baixar">Baixar</h2>
<pre><code class="language-sh">kuva image download web-1 --output copy.qcow2
openstack image save --file copy2.qcow2 web-2
kuva convert kuva:web-1 web-1.vhdx
</code></pre>
<p>Um download interrompido continua quando você o chama de novo, e cada byte é comparado com o resumo da imagem.</p>
<h2 id="compartilhar">Compartilhar</h2>
<p>Só o seu próprio projeto vê uma imagem privada. Para que outro a use, você precisa do id dele, que as pessoas de lá encontram em <strong>Acesso à API</strong>:</p>
<pre><code class="language-sh">BLUE=$(openstack project create -f value -c id blue)
kuva image share web-1 &quot;$BLUE&quot;
</code></pre>
<p>As pessoas de lá veem a imagem em <strong>Compartilhadas comigo</strong>, com o relatório do doutor, e a aceitam ali ou com <code>kuva image accept ID</code>. Ela continua
sua: o que você muda, elas veem; se você a excluir, ela some para elas também. Para retomá-la:</p>
<pre><code class="language-sh">kuva image share web-1 --remove &quot;$BLUE&quot;
</code></pre>
<p>Uma imagem com chaves privadas dentro não fica pública até ser corrigida, ou até você dizer por que pode.</p>
<h2 id="entregar">Entregar</h2>
<p>Com um link, alguém sem conta baixa uma imagem, pelo tempo que você disser:</p>
<pre><code class="language-sh">kuva image link web-1 --expires 2d
kuva image link list
</code></pre>
<p><strong>Exportar</strong>, na página da imagem, a grava em qualquer formato em um bucket ou em um endereço que lhe deram; assim também
<code>kuva image export web-1 --to s3://BUCKET/web-1.vmdk --format vmdk</code>.</p>
<h2 id="dia-a-dia">Dia a dia</h2>
<p>Nomes, etiquetas, requisitos e proteção, em <strong>Editar</strong>:</p>
<pre><code class="language-sh">kuva image set web-1 --name web --tag approved --min-ram 512 --property os_distro=debian --protected
</code></pre>
<p>O que mudou entre duas imagens, arquivo por arquivo e pacote por pacote:</p>
<pre><code class="language-sh">kuva diff debian-12.qcow2 debian-12.vmdk
</code></pre>
<p>Uma imagem protegida não é excluída por acidente. O que o seu projeto pode ter, e tem:</p>
<pre><code class="language-sh">kuva image set web --protected=false
kuva image delete web web-2
kuva quota show
</code></pre>
<h2 id="quando-algo-dá-errado">Quando algo dá errado</h2>
<p>Cada recusa diz o que estava errado, qual era a regra e o que fazer em seguida, no portal, na linha de comando e na API. Se isso não ajudar, informe ao
operador o número da chamada que está logo abaixo.</p>
`;export{e as default};