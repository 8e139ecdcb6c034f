# SPDX-License-Identifier: GPL-3.0-or-later

# Completion for nspawn-runner: the program itself knows what a word can become.

function __nspawn_runner_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l option (string match -r -- '^--[^=]*=' $current)
    set -l value (string replace -r -- '^--[^=]*=' '' "$current")

    for line in ($words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':files'
                printf "$option%s\n" (__fish_complete_path $value)
            case ':directories'
                printf "$option%s\n" (__fish_complete_directories $value)
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c nspawn-runner -f -a '(__nspawn_runner_complete)'
