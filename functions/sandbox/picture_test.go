package main

import (
	"image/png"
	"os"
	"strings"
	"testing"
)

// README shows the console as it is, in a picture that is quick to load. It is
// one of those that TestTheWholeStoryByClicks leaves in the folder that CONSOLE_SHOTS names.
func TestThePictureIsSmallAndShownOnce(t *testing.T) {
	const name, most = "console.png", 300_000
	readme, err := os.ReadFile("../../README.md")
	if err != nil || strings.Count(string(readme), "](functions/sandbox/"+name+")") != 1 {
		t.Errorf("README shows %s %d times, %v; want once", name, strings.Count(string(readme), name), err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	picture, err := png.DecodeConfig(file)
	if info, statErr := file.Stat(); err != nil || statErr != nil || info.Size() > most || picture.Width < 1000 {
		t.Errorf("%s: %d px wide, %v; want a picture of at least 1000 px in at most %d bytes", name, picture.Width, err, most)
	}
}
