import { turbojpeg } from "../../../connectors/decoder/jpeg/turbojpeg.js";

/** The ways that a JPEG takes through the decoder: every promise holds on both. */
export const ways = [
  { name: "libvips alone", turbojpeg: "off", skip: false },
  {
    name: "libvips, ordinary JPEG by libjpeg-turbo",
    turbojpeg: "auto",
    skip: turbojpeg() === null ? "no libjpeg-turbo for this machine: libvips decodes everything" : false,
  },
] as const;
