/** Of a picture's PDQ hash: 256 bits */
export const PDQ_BYTES = 32;
