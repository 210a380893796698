/** Rules of the doctor whose findings automatic configuration is to mend, on
 * Windows and on Linux; until it does, their texts say how by hand. */
export const automatic = [
  'advice-windows-ide', 'advice-windows-input', 'boot-root-device', 'boot-fstab-device', 'advice-serial-console', 'boot-virtio', 'advice-initrd-ide',
  'access-fixed-mac', 'access-static-network', 'advice-foreign-tools', 'advice-xorg',
] as const;
