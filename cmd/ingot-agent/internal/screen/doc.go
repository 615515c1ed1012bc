// Package screen draws the laptop's screen.
//
// The idea: a technician stands two metres away with another laptop under one arm. So the whole screen carries
// one colour and one word, the Name is written in letters of an eighth of the height, and one band at the bottom
// says what may be unplugged. Render is pure: from a View and a size to an image. Around it stand three ways to
// show the same View: Framebuffer draws the image on /dev/fb0, Text writes it in colours on a VGA console, and
// Plain tells it as lines on the serial console. A QR code leads to the device's page when something failed.
package screen
