#!/bin/sh
# Makes speech.flac, the clip that speech is scored with: 48 kHz, one channel, English and then Russian. Needs the
# Debian packages espeak-ng and ffmpeg. The clip is kept, so that scores compare; run this only to make another one.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
espeak-ng -v en-gb -s 165 -w "$work/en.wav" \
	"Good morning. You have reached the front office, please hold."
espeak-ng -v ru -s 160 -w "$work/ru.wav" \
	"Добрый день. Вы позвонили в офис, подождите, пожалуйста."
ffmpeg -hide_banner -loglevel error -y -i "$work/en.wav" -i "$work/ru.wav" -filter_complex \
	"[0]adelay=200,apad=pad_dur=0.5[e];[1]apad=pad_dur=0.2[r];[e][r]concat=n=2:v=0:a=1,volume=-4dB,aresample=48000" \
	-ac 1 -sample_fmt s16 -compression_level 12 -map_metadata -1 -fflags +bitexact -flags:a +bitexact speech.flac
