/** The version of this code, written into everything it makes; package.json has the same (a test compares them). */
export const CODE_VERSION = "0.1.0";
