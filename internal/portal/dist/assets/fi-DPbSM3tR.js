var e=`<h1 id="opas">Opas</h1>
<p>Miten virtuaalikoneiden levykuvia hankitaan, tehdään, tarkistetaan, muunnetaan, lähetetään, jaetaan ja annetaan eteenpäin. Jokainen tämän sivun
komento toimii sellaisenaan; portaali tekee saman hiirellä, tässä mainituilla nimillä.</p>
<h2 id="sanat">Sanat</h2>
<table>
<thead>
<tr>
<th>sana</th>
<th>merkitys</th>
</tr>
</thead>
<tbody><tr>
<td>levykuva</td>
<td>mitä luetteloissa näkyy: nimi, omistaja, tila, ominaisuudet ja sisältö</td>
</tr>
<tr>
<td>levy</td>
<td>mitä kone näkee: tavut ensimmäisestä sektorista viimeiseen</td>
</tr>
<tr>
<td>muoto</td>
<td>miten levy on tiedostossa: raw, qcow2, VMDK, VHD, VHDX, VDI, ISO, OVA</td>
</tr>
<tr>
<td>näkymä</td>
<td>levykuva jonkin muodon tiedostona, tehty latauksen aikana; mitään ei muunneta etukäteen</td>
</tr>
<tr>
<td>raportti</td>
<td>mitä tohtori löysi levykuvan sisältä: järjestelmä, sen paketit ja se, mikä menee pieleen</td>
</tr>
<tr>
<td>löydös</td>
<td>yksi raportin kohta: tiedosto ja rivi, seuraus ja korjaus</td>
</tr>
<tr>
<td>projekti</td>
<td>kenelle levykuvat kuuluvat; ihmiset työskentelevät yhdessä tai useassa</td>
</tr>
<tr>
<td>jäsen</td>
<td>projekti, jonka kanssa levykuva on jaettu</td>
</tr>
<tr>
<td>linkki</td>
<td>osoite, jolla kuka tahansa sen saanut voi ladata tai täyttää yhden levykuvan tietyn ajan</td>
</tr>
<tr>
<td>alustan levykuva</td>
<td>levykuva, jonka ylläpito tarjoaa kaikille</td>
</tr>
</tbody></table>
<h2 id="ennen-kuin-aloitat">Ennen kuin aloitat</h2>
<p>Ylläpito antaa sinulle tiedoston <code>clouds.yaml</code>, tai saat sen portaalista kohdasta <strong>API-käyttö</strong>. Omalla koneellasi <code>kuva serve</code> kirjoittaa sen
datakansioonsa. Kerro, missä se on ja mitä pilveä tarkoitat:</p>
<pre><code class="language-sh">export OS_CLIENT_CONFIG_FILE=$PWD/data/clouds.yaml OS_CLOUD=kuva
kuva image list
</code></pre>
<p>Tavallinen asiakasohjelma toimii samoin:</p>
<pre><code class="language-sh">openstack image list
</code></pre>
<h2 id="hanki-levykuva">Hanki levykuva</h2>
<p>Portaali: <strong>Levykuvat → Alustan</strong>, sitten <strong>Lataa muodossa …</strong> levykuvan sivulla. Komentoriviltä:</p>
<pre><code class="language-sh">kuva image list --visibility public
</code></pre>
<p>Voit aloittaa myös jakelun julkaisemasta levykuvasta: lataa sen <em>cloud</em>- tai <em>generic</em>-levykuva qcow2- tai raw-muodossa. Pakattuja ei tarvitse purkaa. Jos
palvelu sen sallii, <code>kuva image import URL</code> noutaa sen ilman omaa yhteyttäsi, ja <code>kuva image import --catalogue NAME</code> ottaa ylläpidon valitseman.</p>
<h2 id="tee-levykuva">Tee levykuva</h2>
<p>Työkaluja on kahta lajia.</p>
<ul>
<li><strong>Käsin</strong>: asenna järjestelmä omaan koneeseen (VirtualBox, virt-manager, virt-install) jakelun ISO-levyltä, vastaustiedoston kanssa tai ilman; sammuta
se sitten. Helppoa ja tuttua, mutta hidasta ja vaikea toistaa, ja levykuva on vielä valmisteltava pilveen.</li>
<li><strong>Levykuvatyökalulla</strong> (diskimage-builder, virt-builder, mmdebstrap, Packer): komento tekee levykuvan kuvauksesta. Nopea, toistettava, pieni ja valmis
pilveen; vaikeampi muokata.</li>
</ul>
<p>Käsin se alkaa tyhjästä levystä, jolle virtuaalikoneesi asennusohjelma kirjoittaa:</p>
<pre><code class="language-sh">qemu-img create -f qcow2 new.qcow2 10G
</code></pre>
<p>Mitä jokainen levykuva tarvitsee, miten se onkin tehty: cloud-init (Windowsissa cloudbase-init), virtio-ajurit, osoitteet DHCP:llä, juuritiedostojärjestelmä,
joka voi kasvaa, ei SSH-palvelinavaimia, ei machine-id:tä, ei omia salasanojasi eikä avaimiasi. Luetteloa ei tarvitse muistaa: tohtori muistaa sen.</p>
<p>Myös tilannevedos käynnissä olevasta koneesta on levykuva. Sammuta kone ensin, jotta sen tiedostojärjestelmät ovat ehjiä.</p>
<h2 id="tarkista">Tarkista</h2>
<p>Ennen lähetystä, omalla koneellasi; mitään ei lähetetä minnekään:</p>
<pre><code class="language-sh">kuva inspect debian-12.qcow2
</code></pre>
<p>Se kertoo, mikä järjestelmä sisällä on, käynnistyykö siitä tehty kone, saako siihen yhteyden ja eroaako se klooneistaan; sitten jokaisen löydöksen ja
korjauksen. Itse tiedostosta, ei sen sisällöstä:</p>
<pre><code class="language-sh">kuva info debian-12.qcow2
kuva check debian-12.qcow2
</code></pre>
<p>Lähetyksen jälkeen sama raportti on levykuvan sivulla omalla kielelläsi.</p>
<h2 id="muunna">Muunna</h2>
<p>Levykuvaa ei tarvitse muuntaa ennen lähetystä eikä latausta varten: valitse muoto siellä. Paikallisille tiedostoille:</p>
<pre><code class="language-sh">kuva convert debian-12.qcow2 debian-12.vmdk
kuva compare debian-12.qcow2 debian-12.vmdk
</code></pre>
<h2 id="lähetä">Lähetä</h2>
<p>Portaali: <strong>Levykuvat → Omat → Lähetä levykuva</strong>: anna nimi, valitse tiedosto, aloita. Voit sulkea sivun; valitse sama tiedosto uudelleen, ja lähetys jatkuu
siitä, mihin se jäi. Komentoriviltä, joka sekin jatkaa keskeytyksen jälkeen:</p>
<pre><code class="language-sh">kuva image upload debian-12.qcow2 --name web-1 --tag base
kuva image show web-1
</code></pre>
<p>Tavallisella asiakasohjelmalla, jolle muoto on kerrottava:</p>
<pre><code class="language-sh">openstack image create --disk-format qcow2 --container-format bare --private --file debian-12.qcow2 web-2
</code></pre>
<p>Tila vaihtuu: <em>Luodaan</em>, sitten <em>Normaali</em>. Jos se on <em>Virhe</em>, levykuvan sivu kertoo syyn, ja saman levykuvan voi täyttää uudelleen.</p>
<h2 id="lataa">Lataa</h2>
<pre><code class="language-sh">kuva image download web-1 --output copy.qcow2
openstack image save --file copy2.qcow2 web-2
kuva convert kuva:web-1 web-1.vhdx
</code></pre>
<p>Keskeytynyt lataus jatkuu, kun kutsut sitä uudelleen, ja jokaista tavua verrataan levykuvan tiivisteeseen.</p>
<h2 id="jaa">Jaa</h2>
<p>Vain oma projektisi näkee yksityisen levykuvan. Jotta toinen voi käyttää sitä, tarvitset sen tunnuksen, jonka sen väki löytää kohdasta <strong>API-käyttö</strong>:</p>
<pre><code class="language-sh">BLUE=$(openstack project create -f value -c id blue)
kuva image share web-1 &quot;$BLUE&quot;
</code></pre>
<p>Sen väki näkee levykuvan kohdassa <strong>Kanssani jaetut</strong>, tohtorin raportin kera, ja hyväksyy sen siellä tai komennolla <code>kuva image accept ID</code>. Se pysyy
sinun: minkä muutat, sen he näkevät; jos poistat sen, se katoaa heiltäkin. Näin otat sen takaisin:</p>
<pre><code class="language-sh">kuva image share web-1 --remove &quot;$BLUE&quot;
</code></pre>
<p>Levykuvaa, jonka sisällä on yksityisiä avaimia, ei julkaista ennen kuin se on korjattu tai kerrot, miksi se saa olla julkinen.</p>
<h2 id="anna-eteenpäin">Anna eteenpäin</h2>
<p>Linkillä joku, jolla ei ole tunnusta, voi ladata levykuvan niin kauan kuin sanot:</p>
<pre><code class="language-sh">kuva image link web-1 --expires 2d
kuva image link list
</code></pre>
<p><strong>Vie</strong> levykuvan sivulla kirjoittaa sen missä muodossa tahansa ämpäriin tai osoitteeseen, jonka sait; samoin
<code>kuva image export web-1 --to s3://BUCKET/web-1.vmdk --format vmdk</code>.</p>
<h2 id="päivästä-päivään">Päivästä päivään</h2>
<p>Nimet, tunnisteet, vaatimukset ja suojaus kohdassa <strong>Muokkaa</strong>:</p>
<pre><code class="language-sh">kuva image set web-1 --name web --tag approved --min-ram 512 --property os_distro=debian --protected
</code></pre>
<p>Mikä kahden levykuvan välillä muuttui, tiedosto tiedostolta ja paketti paketilta:</p>
<pre><code class="language-sh">kuva diff debian-12.qcow2 debian-12.vmdk
</code></pre>
<p>Suojattua levykuvaa ei poisteta vahingossa. Mitä projektillasi saa olla, ja on:</p>
<pre><code class="language-sh">kuva image set web --protected=false
kuva image delete web web-2
kuva quota show
</code></pre>
<h2 id="kun-jokin-menee-pieleen">Kun jokin menee pieleen</h2>
<p>Jokainen kieltäytyminen kertoo, mikä oli väärin, mikä sääntö se oli ja mitä tehdä seuraavaksi, portaalissa, komentorivillä ja API:ssa. Jos siitä ei ole
apua, kerro ylläpidolle sen alla oleva kutsun numero.</p>
`;export{e as default};