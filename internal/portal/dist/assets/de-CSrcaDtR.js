var e=`<h1 id="anleitung">Anleitung</h1>
<p>Wie man Images virtueller Maschinen bekommt, macht, prüft, umwandelt, hochlädt, teilt und weitergibt. Jeder Befehl auf dieser Seite
funktioniert so, wie er dasteht; das Portal macht dasselbe mit der Maus, unter den Namen, die hier stehen.</p>
<h2 id="wörter">Wörter</h2>
<table>
<thead>
<tr>
<th>Wort</th>
<th>Bedeutung</th>
</tr>
</thead>
<tbody><tr>
<td>Image</td>
<td>was in den Listen steht: ein Name, ein Eigentümer, ein Status, Eigenschaften und der Inhalt</td>
</tr>
<tr>
<td>Festplatte</td>
<td>was die Maschine sieht: Bytes vom ersten bis zum letzten Sektor</td>
</tr>
<tr>
<td>Format</td>
<td>wie eine Festplatte in einer Datei liegt: raw, qcow2, VMDK, VHD, VHDX, VDI, ISO, OVA</td>
</tr>
<tr>
<td>Ansicht</td>
<td>ein Image als Datei eines Formats, gemacht, während Sie sie herunterladen; vorher wird nichts umgewandelt</td>
</tr>
<tr>
<td>Bericht</td>
<td>was der Doktor in einem Image gefunden hat: das System, seine Pakete und was schiefgehen wird</td>
</tr>
<tr>
<td>Befund</td>
<td>eine Sache im Bericht, mit Datei und Zeile, der Folge und der Abhilfe</td>
</tr>
<tr>
<td>Projekt</td>
<td>wem Images gehören; man arbeitet in einem oder mehreren</td>
</tr>
<tr>
<td>Mitglied</td>
<td>ein Projekt, mit dem ein Image geteilt ist</td>
</tr>
<tr>
<td>Link</td>
<td>eine Adresse, mit der jeder, der sie hat, ein Image eine Zeit lang herunterladen oder füllen kann</td>
</tr>
<tr>
<td>Plattform-Image</td>
<td>ein Image, das der Betreiber allen anbietet</td>
</tr>
</tbody></table>
<h2 id="bevor-sie-anfangen">Bevor Sie anfangen</h2>
<p>Ihr Betreiber gibt Ihnen eine Datei <code>clouds.yaml</code>, oder Sie holen sie im Portal unter <strong>API-Zugang</strong>. Auf Ihrem eigenen Rechner schreibt
<code>kuva serve</code> sie in seinen Datenordner. Sagen Sie, wo sie liegt und welche Cloud gemeint ist:</p>
<pre><code class="language-sh">export OS_CLIENT_CONFIG_FILE=$PWD/data/clouds.yaml OS_CLOUD=kuva
kuva image list
</code></pre>
<p>Der übliche Client arbeitet genauso:</p>
<pre><code class="language-sh">openstack image list
</code></pre>
<h2 id="ein-image-bekommen">Ein Image bekommen</h2>
<p>Portal: <strong>Images → Plattform</strong>, dann <strong>Herunterladen als …</strong> auf der Seite des Images. Auf der Befehlszeile:</p>
<pre><code class="language-sh">kuva image list --visibility public
</code></pre>
<p>Sie können auch mit einem Image anfangen, das eine Distribution veröffentlicht: Laden Sie deren <em>cloud</em>- oder <em>generic</em>-Image herunter, als qcow2
oder raw. Komprimierte brauchen Sie nicht auszupacken. Wo Ihr Standort es erlaubt, holt <code>kuva image import URL</code> es ohne Ihre Leitung dazwischen, und
<code>kuva image import --catalogue NAME</code> nimmt eines, das Ihr Betreiber ausgesucht hat.</p>
<h2 id="ein-image-machen">Ein Image machen</h2>
<p>Es gibt zwei Arten von Werkzeugen.</p>
<ul>
<li><strong>Von Hand</strong>: Installieren Sie ein System in einer eigenen Maschine (VirtualBox, virt-manager, virt-install), vom ISO der Distribution, mit oder
ohne Antwortdatei; fahren Sie sie dann herunter. Einfach und vertraut, aber langsam, schlecht zu wiederholen, und das Image muss erst cloud-tauglich werden.</li>
<li><strong>Mit einem Image-Werkzeug</strong> (diskimage-builder, virt-builder, mmdebstrap, Packer): Ein Befehl macht das Image aus einer Beschreibung. Schnell,
wiederholbar, klein und cloud-tauglich; schwerer anzupassen.</li>
</ul>
<p>Von Hand beginnt es mit einer leeren Festplatte, auf die das Installationsprogramm Ihrer virtuellen Maschine schreibt:</p>
<pre><code class="language-sh">qemu-img create -f qcow2 new.qcow2 10G
</code></pre>
<p>Was jedes Image braucht, wie auch immer es gemacht wurde: cloud-init (unter Windows: cloudbase-init), virtio-Treiber, Adressen über DHCP, ein
Wurzeldateisystem, das wachsen kann, keine SSH-Hostschlüssel, keine machine-id, keine Passwörter und Schlüssel von Ihnen. Diese Liste müssen Sie sich nicht
merken: Das tut der Doktor.</p>
<p>Auch die Momentaufnahme einer laufenden Maschine ist ein Image. Fahren Sie die Maschine vorher herunter, damit ihre Dateisysteme heil sind.</p>
<h2 id="prüfen">Prüfen</h2>
<p>Vor dem Hochladen, auf Ihrem eigenen Rechner; nichts wird irgendwohin geschickt:</p>
<pre><code class="language-sh">kuva inspect debian-12.qcow2
</code></pre>
<p>Es sagt, welches System darin ist, ob eine Maschine daraus startet, erreichbar ist und sich von ihren Klonen unterscheidet; dann jeden Befund mit
der Abhilfe. Über die Datei selbst, nicht ihren Inhalt:</p>
<pre><code class="language-sh">kuva info debian-12.qcow2
kuva check debian-12.qcow2
</code></pre>
<p>Nach dem Hochladen steht derselbe Bericht auf der Seite des Images, in Ihrer Sprache.</p>
<h2 id="umwandeln">Umwandeln</h2>
<p>Vor dem Hochladen braucht man ein Image nicht umzuwandeln, auch nicht zum Herunterladen: Wählen Sie das Format dort. Für Dateien auf Ihrem Rechner:</p>
<pre><code class="language-sh">kuva convert debian-12.qcow2 debian-12.vmdk
kuva compare debian-12.qcow2 debian-12.vmdk
</code></pre>
<h2 id="hochladen">Hochladen</h2>
<p>Portal: <strong>Images → Meine Images → Image hochladen</strong>: einen Namen geben, die Datei wählen, starten. Sie dürfen die Seite schließen; wählen Sie dieselbe
Datei wieder, und es geht dort weiter, wo es war. Auf der Befehlszeile, die nach einem Abbruch ebenfalls weitermacht:</p>
<pre><code class="language-sh">kuva image upload debian-12.qcow2 --name web-1 --tag base
kuva image show web-1
</code></pre>
<p>Mit dem üblichen Client, dem man das Format sagen muss:</p>
<pre><code class="language-sh">openstack image create --disk-format qcow2 --container-format bare --private --file debian-12.qcow2 web-2
</code></pre>
<p>Der Status geht von <em>Wird erstellt</em> zu <em>Normal</em>. Bei <em>Fehler</em> sagt die Seite des Images den Grund, und dasselbe Image kann noch einmal gefüllt werden.</p>
<h2 id="herunterladen">Herunterladen</h2>
<pre><code class="language-sh">kuva image download web-1 --output copy.qcow2
openstack image save --file copy2.qcow2 web-2
kuva convert kuva:web-1 web-1.vhdx
</code></pre>
<p>Ein abgebrochener Download geht weiter, wenn Sie ihn noch einmal aufrufen, und jedes Byte wird mit der Prüfsumme des Images verglichen.</p>
<h2 id="teilen">Teilen</h2>
<p>Nur Ihr eigenes Projekt sieht ein privates Image. Damit ein anderes es benutzen kann, brauchen Sie dessen ID, die seine Leute unter <strong>API-Zugang</strong> finden:</p>
<pre><code class="language-sh">BLUE=$(openstack project create -f value -c id blue)
kuva image share web-1 &quot;$BLUE&quot;
</code></pre>
<p>Seine Leute sehen das Image unter <strong>Mit mir geteilt</strong>, mit dem Bericht des Doktors, und nehmen es dort an oder mit <code>kuva image accept ID</code>. Es bleibt
Ihres: Was Sie ändern, sehen sie; löschen Sie es, ist es auch für sie weg. So nehmen Sie es zurück:</p>
<pre><code class="language-sh">kuva image share web-1 --remove &quot;$BLUE&quot;
</code></pre>
<p>Ein Image mit privaten Schlüsseln darin wird nicht öffentlich, bis es repariert ist oder Sie sagen, warum es das darf.</p>
<h2 id="weitergeben">Weitergeben</h2>
<p>Mit einem Link kann jemand ohne Konto ein Image herunterladen, so lange Sie es sagen:</p>
<pre><code class="language-sh">kuva image link web-1 --expires 2d
kuva image link list
</code></pre>
<p><strong>Exportieren</strong> auf der Seite des Images schreibt es in jedem Format in einen Bucket oder an eine Adresse, die man Ihnen gegeben hat; ebenso
<code>kuva image export web-1 --to s3://BUCKET/web-1.vmdk --format vmdk</code>.</p>
<h2 id="tag-für-tag">Tag für Tag</h2>
<p>Namen, Schlagwörter, Bedarf und Schutz, unter <strong>Bearbeiten</strong>:</p>
<pre><code class="language-sh">kuva image set web-1 --name web --tag approved --min-ram 512 --property os_distro=debian --protected
</code></pre>
<p>Was sich zwischen zwei Images geändert hat, Datei für Datei und Paket für Paket:</p>
<pre><code class="language-sh">kuva diff debian-12.qcow2 debian-12.vmdk
</code></pre>
<p>Ein geschütztes Image wird nicht aus Versehen gelöscht. Was Ihr Projekt haben darf, und hat:</p>
<pre><code class="language-sh">kuva image set web --protected=false
kuva image delete web web-2
kuva quota show
</code></pre>
<h2 id="wenn-etwas-schiefgeht">Wenn etwas schiefgeht</h2>
<p>Jede Ablehnung sagt, was falsch war, welche Regel es war und was Sie als Nächstes tun, im Portal, auf der Befehlszeile und in der API. Hilft Ihnen das
nicht, nennen Sie Ihrem Betreiber die Nummer des Aufrufs, die darunter steht.</p>
`;export{e as default};