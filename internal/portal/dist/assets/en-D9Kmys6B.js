var e=`<h1 id="guide">Guide</h1>
<p>How to get, make, check, convert, upload, share and hand out images of virtual machines. Each command on this page works as
it is written; the portal does the same with the mouse, under the names that are given here.</p>
<h2 id="words">Words</h2>
<table>
<thead>
<tr>
<th>word</th>
<th>meaning</th>
</tr>
</thead>
<tbody><tr>
<td>image</td>
<td>what you see in the lists: a name, an owner, a status, properties, and the content</td>
</tr>
<tr>
<td>disk</td>
<td>what the machine sees: bytes from the first sector to the last</td>
</tr>
<tr>
<td>format</td>
<td>how a disk is kept in a file: raw, qcow2, VMDK, VHD, VHDX, VDI, ISO, OVA</td>
</tr>
<tr>
<td>view</td>
<td>an image as a file of some format, made while you download it; nothing is converted beforehand</td>
</tr>
<tr>
<td>report</td>
<td>what the doctor found inside an image: the system, its packages, and what will go wrong</td>
</tr>
<tr>
<td>finding</td>
<td>one thing in the report, with file and line, what follows from it, and how to mend it</td>
</tr>
<tr>
<td>project</td>
<td>who owns images; people work in one or several</td>
</tr>
<tr>
<td>member</td>
<td>a project that an image is shared with</td>
</tr>
<tr>
<td>link</td>
<td>an address that lets whoever has it download or fill one image, for a while</td>
</tr>
<tr>
<td>platform image</td>
<td>an image that the operator offers to all</td>
</tr>
</tbody></table>
<h2 id="before-you-begin">Before you begin</h2>
<p>Your operator gives you a file <code>clouds.yaml</code>, or you get one in the portal under <strong>API access</strong>. On your own machine
<code>kuva serve</code> writes it into its data folder. Say where it lies, and which cloud you mean:</p>
<pre><code class="language-sh">export OS_CLIENT_CONFIG_FILE=$PWD/data/clouds.yaml OS_CLOUD=kuva
kuva image list
</code></pre>
<p>The standard client works in the same way:</p>
<pre><code class="language-sh">openstack image list
</code></pre>
<h2 id="get-an-image">Get an image</h2>
<p>Portal: <strong>Images → Platform</strong>, then <strong>Download as …</strong> on the page of the image. From the command line:</p>
<pre><code class="language-sh">kuva image list --visibility public
</code></pre>
<p>You can also start from an image that a distribution publishes: download its <em>cloud</em> or <em>generic</em> image, in qcow2 or raw.
Compressed ones need not be unpacked. Where your site allows it, <code>kuva image import URL</code> fetches it without your line in between, and
<code>kuva image import --catalogue NAME</code> takes one that your operator has chosen.</p>
<h2 id="make-an-image">Make an image</h2>
<p>There are two families of tools.</p>
<ul>
<li><strong>By hand</strong>: install a system in a machine of your own (VirtualBox, virt-manager, virt-install), from the distribution&#39;s ISO, with
or without an answer file; then shut it down. Easy and familiar, but slow, hard to repeat, and the image must be made ready for the cloud.</li>
<li><strong>With a base-image tool</strong> (diskimage-builder, virt-builder, mmdebstrap, Packer): a command makes the image from a description.
Fast, repeatable, small and ready for the cloud; harder to customise.</li>
</ul>
<p>By hand it begins with an empty disk, onto which the installer of your virtual machine writes:</p>
<pre><code class="language-sh">qemu-img create -f qcow2 new.qcow2 10G
</code></pre>
<p>What every image needs, whichever way it was made: cloud-init (on Windows: cloudbase-init), virtio drivers, addresses by DHCP, a root file system that
can grow, no SSH host keys, no machine-id, no passwords and keys of yours. You need not remember this list: the doctor does.</p>
<p>A snapshot of a running machine is an image too. Shut the machine down first, so that its file systems are whole.</p>
<h2 id="check">Check</h2>
<p>Before the upload, on your own machine; nothing is sent anywhere:</p>
<pre><code class="language-sh">kuva inspect debian-12.qcow2
</code></pre>
<p>It tells the system that is inside, whether a machine made of it will start, can be reached, and differs from its clones; then each finding
with the way to mend it. For the file itself, rather than what is inside:</p>
<pre><code class="language-sh">kuva info debian-12.qcow2
kuva check debian-12.qcow2
</code></pre>
<p>After the upload the same report stands on the page of the image, in your language.</p>
<h2 id="convert">Convert</h2>
<p>An image need not be converted before the upload, nor for the download: choose the format there. For local files:</p>
<pre><code class="language-sh">kuva convert debian-12.qcow2 debian-12.vmdk
kuva compare debian-12.qcow2 debian-12.vmdk
</code></pre>
<h2 id="upload">Upload</h2>
<p>Portal: <strong>Images → Private → Upload image</strong>: give a name, choose the file, start. You may close the page; choose the same file again and it goes
on where it was. From the command line; called again after it was stopped, it goes on too:</p>
<pre><code class="language-sh">kuva image upload debian-12.qcow2 --name web-1 --tag base
kuva image show web-1
</code></pre>
<p>With the standard client, which must be told the format:</p>
<pre><code class="language-sh">openstack image create --disk-format qcow2 --container-format bare --private --file debian-12.qcow2 web-2
</code></pre>
<p>The status goes from <em>Creating</em> to <em>Normal</em>. At <em>Error</em> the page of the image says why, and the same image can be filled again.</p>
<h2 id="download">Download</h2>
<pre><code class="language-sh">kuva image download web-1 --output copy.qcow2
openstack image save --file copy2.qcow2 web-2
kuva convert kuva:web-1 web-1.vhdx
</code></pre>
<p>A download that was stopped goes on when you call it again, and every byte is compared with the image&#39;s digest.</p>
<h2 id="share">Share</h2>
<p>Only your own project sees a private image. To let another one use it, you need its id, which its people find under <strong>API access</strong>:</p>
<pre><code class="language-sh">BLUE=$(openstack project create -f value -c id blue)
kuva image share web-1 &quot;$BLUE&quot;
</code></pre>
<p>Its people see the image under <strong>Shared with me</strong>, with the doctor&#39;s report, and accept it there, or with <code>kuva image accept ID</code>. You stay its owner:
what you change, they see; if you delete it, it is gone for them too. To take it back:</p>
<pre><code class="language-sh">kuva image share web-1 --remove &quot;$BLUE&quot;
</code></pre>
<p>An image with private keys inside is not made public until it is mended, or you say why it may be.</p>
<h2 id="hand-out">Hand out</h2>
<p>A link lets somebody without an account download one image, for as long as you say:</p>
<pre><code class="language-sh">kuva image link web-1 --expires 2d
kuva image link list
</code></pre>
<p><strong>Export</strong> on the page of the image writes it, in any format, into a bucket or to an address that you were given; so does
<code>kuva image export web-1 --to s3://BUCKET/web-1.vmdk --format vmdk</code>.</p>
<h2 id="day-by-day">Day by day</h2>
<p>Names, tags, needs and protection, under <strong>Edit</strong>:</p>
<pre><code class="language-sh">kuva image set web-1 --name web --tag approved --min-ram 512 --property os_distro=debian --protected
</code></pre>
<p>What changed between two images, file by file and package by package:</p>
<pre><code class="language-sh">kuva diff debian-12.qcow2 debian-12.vmdk
</code></pre>
<p>A protected image is not deleted by accident. What your project may have, and has:</p>
<pre><code class="language-sh">kuva image set web --protected=false
kuva image delete web web-2
kuva quota show
</code></pre>
<h2 id="when-something-goes-wrong">When something goes wrong</h2>
<p>Every refusal says what was wrong, which rule it was, and what to do next, in the portal, on the command line and in the API.
If it does not help you, give your operator the number of the call that stands below it.</p>
`;export{e as default};